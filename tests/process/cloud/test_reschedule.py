"""A host that fails at any of its steps is left without a trace; the server comes up on another, or its fault names every
host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kilonova.compute.steps import STEPS
from tests.eventually import eventually
from tests.process.cloud.harness import CloudProcess

FIRST = "h-1"  # the best of equal hosts is the one that was known first
AGENT_STEPS = [step.name for step in STEPS if step.component == "compute" and step.name != "active"]
GRID = [(step, when) for step in AGENT_STEPS for when in ("before", "after")]


def faults(*rules: str) -> str:
    return ";".join(rules)


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """Three hosts; each launch meets the next fault of the grid on the first one."""
    cloud = CloudProcess(tmp_path_factory.mktemp("moody") / "state", extra=["--fake-hosts", "3"])
    rules = (f"step={step},when={when},do=fail,host={FIRST}" for step, when in GRID)
    # a heartbeat may report the build that the first host has just then, which would make another one the best
    equal = {"KILONOVA_SCHEDULER_IO_OPS_WEIGHT_MULTIPLIER": "0"}
    cloud.start(KILONOVA_FAULTS=faults(*rules), KILONOVA_AGENT_HOST="h", **equal)
    yield cloud
    cloud.stop()


def test_a_host_that_fails_at_a_step_is_left(moody: CloudProcess) -> None:
    admin, demo = moody.api(), moody.api("demo")
    image, network = demo.image("plain"), demo.network()
    given = demo.ok("POST", "network", "/ports", {"port": {"network_id": network}})["port"]["id"]
    for step, when in GRID:
        server = demo.launch(image, [{"uuid": network}, {"port": given}], config_drive=True)
        demo.wait(server, "ACTIVE")
        host = admin.server(server)["OS-EXT-SRV-ATTR:host"]
        assert host != FIRST, (step, when)
        assert moody.verify() == [], (step, when)
        ports = admin.ok("GET", "network", f"/ports?device_id={server}")["ports"]
        assert [port["binding:host_id"] for port in ports] == [host, host]
        assert {port["status"] for port in ports} == {"ACTIVE"}
        held = admin.ok("GET", "placement", f"/allocations/{server}")["allocations"]
        providers = admin.ok("GET", "placement", "/resource_providers")["resource_providers"]
        assert list(held) == [provider["uuid"] for provider in providers if provider["name"] == host]
        (action,) = admin.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        path = f"/servers/{server}/os-instance-actions/{action['request_id']}"
        wanted = {(f"compute_{step}", FIRST, "Error"), ("conductor_dispatch", FIRST, "Success"),
                  (f"compute_{step}", host, "Success")}  # fmt: skip

        def recorded(path: str = path, wanted: set[tuple[str, str, str]] = wanted) -> bool:
            events = admin.ok("GET", "compute", path)["instanceAction"]["events"]
            return wanted <= {(event["event"], event["host"], event["result"]) for event in events}

        eventually(recorded, f"not among the action's events: {wanted}")
        demo.ok("DELETE", "compute", f"/servers/{server}")
        demo.wait_gone(server)
    (port,) = demo.ok("GET", "network", f"/ports?id={given}")["ports"]
    assert port["device_id"] == ""


def test_when_all_hosts_fail_the_fault_has_reasons_and_for_admins_the_hosts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Its words are for users; what admins may read is in the details."""
    cloud = CloudProcess(tmp_path_factory.mktemp("doomed") / "state", extra=["--fake-hosts", "3"])
    where = [("networking", "h-1"), ("define", "h-2"), ("running", "h-3"), ("start", "h-1")]
    rules = (f"step={step},when=before,do=fail,host={host}" for step, host in where)
    cloud.start(KILONOVA_FAULTS=faults(*rules), KILONOVA_AGENT_HOST="h")
    try:
        admin, demo = cloud.api(), cloud.api("demo")
        image, network = demo.image("plain"), demo.network()
        server = demo.launch(image, [{"uuid": network}])
        fault = demo.wait(server, "ERROR")["fault"]
        assert fault["message"] == "Build failed on 3 hosts: " + "; ".join(
            f"{step}: injected fault before step {step}" for step, _ in where[:3]
        )
        assert "details" not in fault
        details = admin.server(server)["fault"]["details"]
        assert [f"{host}: {step}: InjectedFault: " in details for step, host in where[:3]] == [True] * 3
        assert demo.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
        assert cloud.verify() == []
        # a host that was asked for by force is the only one tried
        forced = admin.launch(image, "none", availability_zone="nova:h-1")
        fault = admin.wait(forced, "ERROR")["fault"]
        assert fault["message"] == "Build failed on 1 host: start: injected fault before step start"
        assert "h-1: start: InjectedFault" in admin.server(forced)["fault"]["details"]
        assert cloud.verify() == []
    finally:
        cloud.stop()
