"""What a launch costs in SQL statements, all services counted: the same on a slow machine as on a fast one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from kilonova.compute.conductor.service import ReconcilerService
from kilonova.core.db import Database
from tests.eventually import eventually
from tests.process.scenarios.hosts import ThreadedCloud

UNLIMITED = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}
BESIDE = ("last_seen", "outbox_senders")  # in statements that run all the time, whatever is launched
MEASURED = 3  # the smallest counts: the reconciler's rounds come in between


class Counted:
    """A cloud whose statements are counted; BEGIN is none."""

    def __init__(self, cloud: ThreadedCloud) -> None:
        self.cloud, self.statements, self.looking = cloud, list[str](), False
        self.admin, self.api = cloud.api(), cloud.api("demo")
        self.admin.ok("PUT", "compute", f"/os-quota-sets/{self.api.project_id}", UNLIMITED)
        self.image = self.api.image("plain")
        found = {getattr(service, "database", None) for service in cloud.cloud.services}
        self.databases = [database for database in found if isinstance(database, Database)]
        for database in self.databases:
            event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)
            cloud.run(database.close())  # connections that were open before would not be counted

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        beside = any(word in statement for word in BESIDE)
        if not self.looking and not beside:
            self.statements.append(statement)

    def launch(self, count: int, networks: Any) -> list[str]:
        """The servers' ids, once all are reported as up and no message is on its way any more."""
        wanted = {"name": "s", "imageRef": self.image, "flavorRef": "1", "networks": networks}
        self.api.ok("POST", "compute", "/servers", {"server": wanted | {"min_count": count, "max_count": count}})
        self.settled()
        servers = self.servers()
        assert [server["status"] for server in servers] == ["ACTIVE"] * count
        return [server["id"] for server in servers]

    def settled(self) -> None:
        outboxes = [database.outbox for database in self.databases if database.outbox is not None]
        eventually(lambda: not any(outbox.sending for outbox in outboxes), "messages are not delivered")

    def ended(self, status: str) -> None:
        """The only server is idle in this status, and no message is on its way any more."""
        eventually(
            lambda: [(s["status"], s["OS-EXT-STS:task_state"]) for s in self.servers()] == [(status, None)], status
        )
        self.settled()

    def cost(self, act: Callable[[], None]) -> int:
        before = len(self.statements)
        act()
        return len(self.statements) - before

    def delete(self, ids: list[str]) -> None:
        for server in ids:
            self.api.ok("DELETE", "compute", f"/servers/{server}")
        self.settled()
        assert self.servers() == []

    def servers(self) -> list[dict[str, Any]]:
        """A look that does not count."""
        self.looking = True
        try:
            return list(self.api.ok("GET", "compute", "/servers/detail")["servers"])
        finally:
            self.looking = False


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    cloud = ThreadedCloud(tmp_path_factory.mktemp("statements"), hosts=3).start()
    made = Counted(cloud)
    made.delete(made.launch(1, "none"))  # the first of everything reads what is remembered later
    yield made
    cloud.stop()


def costs(counted: Counted, count: int, networks: Any) -> int:
    """Of a request for so many servers and of their deletion."""

    def once() -> None:
        counted.delete(counted.launch(count, networks))

    return min(counted.cost(once) for _ in range(MEASURED))


def test_one_launch_and_delete(counted: Counted) -> None:
    assert costs(counted, 1, "none") <= 50


def test_one_launch_and_delete_with_a_port(counted: Counted) -> None:
    assert costs(counted, 1, [{"uuid": counted.api.network()}]) <= 104


def test_one_request_for_fifty_servers(counted: Counted) -> None:
    ids: list[str] = []
    assert counted.cost(lambda: ids.extend(counted.launch(50, "none"))) <= 150
    counted.delete(ids)


ACTIONS: list[tuple[str, Any, str, int]] = [
    ("os-stop", None, "SHUTOFF", 18), ("os-start", None, "ACTIVE", 18), ("pause", None, "PAUSED", 18),
    ("unpause", None, "ACTIVE", 18), ("suspend", None, "SUSPENDED", 18), ("resume", None, "ACTIVE", 18),
    ("reboot", {"type": "SOFT"}, "ACTIVE", 18), ("reboot", {"type": "HARD"}, "ACTIVE", 18), ("rescue", None, "RESCUE", 24),
    ("unrescue", None, "ACTIVE", 24), ("createImage", {"name": "i"}, "ACTIVE", 60), ("rebuild", {"imageRef": ""}, "ACTIVE", 36),
    ("resize", {"flavorRef": "2"}, "VERIFY_RESIZE", 115), ("confirmResize", None, "ACTIVE", 25),
    ("shelve", None, "SHELVED_OFFLOADED", 65), ("unshelve", None, "ACTIVE", 60),
]  # fmt: skip
"""Action, body, the status afterwards, the most statements of all services, for a server without a port: about half above what
they cost, as heartbeats come in between."""


def test_actions(counted: Counted) -> None:
    """Measured without the reconciler's rounds, as actions take long enough for some of them."""
    (reconciling,) = [service for service in counted.cloud.cloud.services if isinstance(service, ReconcilerService)]
    counted.cloud.run(reconciling.stop())
    (server,) = counted.launch(1, "none")
    costs = {}
    for action, body, status, most in ACTIONS:
        body = body | {"imageRef": counted.image} if action == "rebuild" else body
        before = len(counted.statements)
        counted.api.ok("POST", "compute", f"/servers/{server}/action", {action: body})
        counted.ended(status)
        costs[f"{action} {body['type']}" if action == "reboot" else action] = (len(counted.statements) - before, most)
    counted.delete([server])
    counted.cloud.run(reconciling.start())
    assert {name: cost for name, (cost, most) in costs.items() if cost > most} == {}
