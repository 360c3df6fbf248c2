"""Query parameters that a route does not know, and rules that are checked against the object, not against the caller."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from kilonova.compute.app import PARAMETERS, ComputeApiService
from kilonova.compute.resources.server_interfaces import logic as interfaces
from kilonova.compute.web.parameters import NONE
from kilonova.core.web.wire import Version
from tests import support
from tests.service.compute_api.support import Cloud, Images, Networks, Projects, make_cloud, version
from tests.service.compute_api.test_routes import BODIES, every_route, filled
from tests.support import PROJECT, caller, make_core


def reading(tmp_path):
    """(route, its entry in the table, an admin's path to it) of those that refuse what they do not know."""
    for route in every_route(tmp_path / "other"):
        path = route.path.removeprefix("/v2.1")
        known = PARAMETERS.get(f"{route.method} {path}", NONE if route.method == "GET" else None)
        if known is None or route.public:
            continue
        yield route, known, "/compute" + filled(route.path, str(uuid.uuid4()))


def strange(answer) -> bool:
    return answer.status == 400 and "Additional properties are not allowed" in answer.json["badRequest"]["message"]


async def test_unknown_parameters_are_refused_since_their_version(cloud, tmp_path):
    for route, known, path in reading(tmp_path):
        since = max(known.since, Version.parse(route.since or "2.1"))
        if route.until is not None and Version.parse(route.until) < since:
            continue
        body = {"quota_set": {}} if route.method == "PUT" else None
        answer = await cloud.client(route.method, f"{path}?colour=red", json=body, headers=version(str(since)))
        assert strange(answer), (route.method, path, answer.content)
        assert "'colour' was unexpected" in answer.json["badRequest"]["message"]
        before = Version(2, since.minor - 1)
        if route.since is None or Version.parse(route.since) <= before:
            answer = await cloud.client(route.method, f"{path}?colour=red", json=body, headers=version(str(before)))
            assert not strange(answer), (route.method, path, before)


async def test_known_parameters_are_taken(cloud, tmp_path):
    for route, known, path in reading(tmp_path):
        for name, since in known.names.items():
            answer = await cloud.client(
                route.method, f"{path}?{name}=1", headers=version(str(max(since, known.since))),
                json={"quota_set": {}} if route.method == "PUT" else None,
            )  # fmt: skip
            assert not strange(answer), (route.method, path, name, answer.content)
            if since > known.since:
                early = await cloud.client(route.method, f"{path}?{name}=1", headers=version(str(known.since)))
                assert strange(early), (route.method, path, name)


async def test_every_entry_is_a_routes(tmp_path):
    routes = {f"{route.method} {route.path.removeprefix('/v2.1')}" for route in every_route(tmp_path)}
    assert PARAMETERS.keys() <= routes


OWNERS = "role:admin or user_id:%(user_id)s"


@pytest.fixture
async def owned_by_user(tmp_path, monkeypatch):
    """A cloud whose operator gives each server, and all that it has, to its user alone."""
    monkeypatch.setitem(support.CALLERS, "second", caller("second", PROJECT, "member", "reader"))
    made = await make_cloud(tmp_path)
    rules = {route.policy for route in made.service.routes if "{server_id" in route.path or "{group_id" in route.path}
    policies = tmp_path / "policies"
    policies.mkdir()
    lines = [f'"{rule}": "{OWNERS}"' for rule in sorted(filter(None, rules)) if not rule.startswith("kilonova:")]
    lines += [f'"os_compute_api:servers:{verb}": "{OWNERS}"' for verb in ("stop", "start")]
    (policies / "compute.yaml").write_text("\n".join(sorted(set(lines))))
    await made.service.stop()
    core, gateway, client = make_core(tmp_path)
    core = dataclasses.replace(core, policy_dir=policies)
    service = ComputeApiService(core, images=Images(), networks=Networks(), projects=Projects())
    gateway.apps[service.prefix] = service.app
    await service.start()
    yield Cloud(client, service)
    await service.stop()


async def test_rules_are_checked_against_the_servers_user(owned_by_user, monkeypatch):
    monkeypatch.setattr(interfaces, "PATIENCE", 0.01)  # no host answers here
    cloud = owned_by_user
    server_id = await cloud.active(tags=["t"], metadata={"x": "y"})
    group = {"server_group": {"name": "g", "policy": "affinity"}}
    group_id = (await cloud("POST", "/os-server-groups", json=group)).json["server_group"]["id"]
    for route in cloud.service.routes:
        if "{server_id" not in route.path and "os-server-groups/{" not in route.path:
            continue
        path = filled(route.path, server_id).replace("os-server-groups/x", f"os-server-groups/{group_id}")
        tail = path.rsplit(server_id, 1)[1] or "/servers" if server_id in path else ""
        if route.path.endswith("os-server-groups/{group_id:str}") and route.method == "DELETE":
            continue  # asked last
        answers = []
        for token in ("second", "member"):
            answer = await cloud.client(
                route.method, f"/compute{path}", token=token, json=BODIES.get(f"{route.method} {tail}", {}),
                headers=version(route.until or route.since or "2.104"),
            ) if (token, route.method) != ("member", "DELETE") else None  # fmt: skip
            answers.append(answer.status if answer is not None else None)
        assert answers[0] == 403, (route.method, path, answers)
        assert answers[1] != 403 or route.policy == "kilonova:servers:decisions", (route.method, path, answers)
    assert (await cloud("DELETE", f"/os-server-groups/{group_id}", token="second")).status == 403
    assert (await cloud("DELETE", f"/os-server-groups/{group_id}")).status == 204
    shown = await cloud("GET", f"/servers/{server_id}")
    assert (shown.json["server"]["name"], shown.json["server"]["tags"]) == ("mine", ["a", "t"])  # what its own user set
