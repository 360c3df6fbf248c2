"""Bodies and queries that are wrong in one place: refused in the service's own words, or done; never a fault, and nothing is
changed by what was refused. Each route gets some of its mutants here, and all of them by `make grid` (ATTACK=all)."""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
import structlog

from tests.process.attack.bodies import bodies_of, headers_of
from tests.process.attack.mutations import NASTY, mutants
from tests.process.attack.world import Place, World
from tests.support import Answer

SAMPLE = None if os.environ.get("ATTACK") == "all" else 12
LONG = 30.0  # seconds; an answer takes milliseconds
QUERIES = (
    "limit", "marker", "name", "status", "sort_key", "sort_dir", "fields", "changes-since", "user_id", "project_id", "host",
    "fixed_ips", "tags", "id", "ip", "resources", "member_of", "size_min", "created_at", "domain_id", "all_tenants",
)  # fmt: skip


def in_own_words(service: str, answer: Answer) -> bool:
    """Whether an error has the body that the service's clients read."""
    if service == "ec2":
        root = ElementTree.fromstring(answer.content)
        return bool(root.findtext("Errors/Error/Code") and root.findtext("Errors/Error/Message"))
    body: Any = answer.json
    if service == "identity":
        return body["error"]["code"] == answer.status and bool(body["error"]["message"])
    if service == "network":
        return set(body["NeutronError"]) == {"type", "message", "detail"}
    if service in ("image", "metadata"):
        return str(body["code"]).startswith(str(answer.status)) and bool(body["message"])
    if service == "placement":
        return body["errors"][0]["status"] == answer.status
    (inner,) = body.values()
    return inner["code"] == answer.status and bool(inner["message"])


class Attack:
    """Sends one thing after another, and notes what is wrong with the answers."""

    def __init__(self, world: World) -> None:
        self.world, self.wrong = world, list[str]()

    def send(self, place: Place, path: str, content: bytes, headers: dict[str, str]) -> None:
        world = self.world
        before, began = world.rows(), time.monotonic()
        answer = world.ask("chief", place.route.method, path, content=content, **headers)
        said = f"{place.name}: {answer.status}: {content[:200]!r}: {answer.content[:300]!r}"
        if time.monotonic() - began > LONG:
            self.wrong.append(f"slow: {said}")
        if answer.status >= 500 and answer.status != 501:
            self.wrong.append(said)
        elif answer.status >= 400 and not in_own_words(place.service, answer):
            self.wrong.append(f"not in its own words: {said}")
        if answer.status < 400 and place.writes:
            self._tidy(answer)
            world.forget(place)
            world.quiet()
        elif changed := world.changed(before):
            self.wrong.append(f"changed {changed}: {said}")

    def _tidy(self, answer: Answer) -> None:
        """Servers are deleted at once: they are many, and a quota counts them."""
        found = self.world.ok("chief", "GET", "/compute/v2.1/servers")["servers"]
        if len(found) > 20:
            for server in found:
                self.world.ask("chief", "DELETE", f"/compute/v2.1/servers/{server['id']}")


@pytest.fixture(scope="module")
def faults(world: World):
    """What the cloud logs as an error meanwhile, and exceptions that no task has handled."""
    loop, lost = world.runner.get_loop(), []
    loop.set_exception_handler(lambda _loop, context: lost.append(str(context)))
    with structlog.testing.capture_logs() as said:
        yield lambda: lost + [str(line) for line in said if line["log_level"] in ("error", "critical")]


def writes(world: World) -> list[Place]:
    return [place for place in world.places if place.writes and place.route.method != "DELETE"]


def test_mutated_bodies(world: World, faults) -> None:
    attack = Attack(world)
    for place in writes(world):
        headers = headers_of(place)
        for body in bodies_of(world, place):
            for content in mutants(body, place.name, SAMPLE):
                attack.send(place, world.path(place), content, headers)
    assert attack.wrong == [], "\n".join(attack.wrong)
    assert faults() == []


def test_mutated_queries(world: World, faults) -> None:
    attack = Attack(world)
    texts = [str(value) for value in NASTY if isinstance(value, str | int) and len(str(value)) < 1000]
    for number, place in enumerate(
        place for place in world.places if place.route.method == "GET" and place.service != "ops"
    ):
        for turn, name in enumerate(QUERIES):
            text = texts[(number + turn) % len(texts)]
            path = f"{world.path(place)}?{name}={quote(text, errors='surrogatepass')}"
            attack.send(place, path, b"", headers_of(place))
    assert attack.wrong == [], "\n".join(attack.wrong)
    assert faults() == []


def test_the_cloud_still_works(world: World) -> None:
    world.known.clear()
    server = world.id("compute", "servers")
    assert world.server_now(server)["status"] == "ACTIVE"
    world.ok("member", "DELETE", f"/compute/v2.1/servers/{server}")
    for service, path in (("image", "/v2/images"), ("network", "/v2.0/ports"), ("identity", "/v3/users")):
        world.ok("admin", "GET", f"/{service}{path}")
    world.quiet()
    assert world.ok("admin", "GET", "/ops/verify")["unexplained"] == []
