"""What `verify` says of servers and their guests."""

from __future__ import annotations

import pytest

from kilonova.ops.checks import servers
from kilonova.ops.facts import Facts, HostFact, ServerFact


def facts(server: ServerFact, host: HostFact) -> Facts:
    return Facts(
        servers={server.id: server}, allocations={"s": "h"} if server.host else {}, ports={}, networks=set(),
        security_groups=set(), address_groups=set(), hosts=[host], undelivered=[], queued={}, put_aside=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "task_state", "running", "why"),
    [
        ("ACTIVE", None, True, []),
        ("ACTIVE", None, False, ["its guest does not run"]),
        ("RESCUE", None, False, ["its guest does not run"]),
        ("SHUTOFF", None, True, ["its guest runs"]),
        ("SUSPENDED", None, True, ["its guest runs"]),
        ("SOFT_DELETED", None, True, ["its guest runs"]),
        ("SHUTOFF", None, False, []),
        ("PAUSED", None, False, []),
        ("VERIFY_RESIZE", None, False, []),  # it may have been off before
        ("ERROR", None, True, []),
        ("SHUTOFF", "powering-on", True, ["is busy: task_state powering-on"]),
    ],
)
def test_a_guest_runs_as_its_servers_status_says(
    status: str, task_state: str | None, running: bool, why: list[str]
) -> None:
    server = ServerFact("s", "vm", status, "h", task_state)
    host = HostFact("h", guests={"s"}, running={"s"} if running else set())
    assert [finding.why for finding in servers(facts(server, host))] == why
    host.running = None  # of an older release
    assert [finding.why for finding in servers(facts(server, host))] == why[: bool(task_state)]


def test_a_server_without_a_guest() -> None:
    server = ServerFact("s", "vm", "ACTIVE", "h", None)
    assert [finding.why for finding in servers(facts(server, HostFact("h", running=set())))] == [
        "has no guest on its host"
    ]
