"""Resize and cold migration on a cloud of three hosts, through the API."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.steps import COME_BACK, LEAVE, TAKE_OVER, WITHDRAW, Step
from kilonova.core.faults import FaultRule
from tests.eventually import eventually
from tests.process.scenarios.evacuation import Place
from tests.process.scenarios.hosts import ThreadedCloud, force_down, unexplained


def grid(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    return [(step.name, when) for step in steps for when in ("before", "after")]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedCloud]:
    cloud = ThreadedCloud(tmp_path_factory.mktemp("resize") / "state").start()
    yield cloud
    cloud.stop()


class Moving(Place):
    """Servers that are resized and migrated."""

    def act(self, server: str, action: str, body: Any = None) -> Any:
        return self.admin("POST", "compute", f"/servers/{server}/action", {action: body})

    def resize(self, server: str, flavor: str = "m1.small") -> None:
        answer = self.act(server, "resize", {"flavorRef": self.admin.flavor_id(flavor)})
        assert answer.status_code == 202, answer.text

    def flavor(self, server: str) -> str:
        return str(self.admin.server(server)["flavor"]["original_name"])

    def held(self, consumer: str) -> dict[str, int]:
        """Units of each resource, of all providers."""
        held = self.admin.ok("GET", "placement", f"/allocations/{consumer}")["allocations"]
        found: dict[str, int] = {}
        for allocation in held.values():
            for name, units in allocation["resources"].items():
                found[name] = found.get(name, 0) + units
        return found

    def disks(self, server: str) -> dict[str, list[str]]:
        """Host → what it has of the server's disks: `here`, `aside`."""
        found: dict[str, list[str]] = {}
        for name in self.hosts.names:
            store: Any = self.hosts.agent(name).manager.host.driver.disks  # type: ignore[attr-defined]
            held = sorted(item for item in store._hypervisor.disks(store._host) if item.startswith(server))
            if held:
                found[name] = ["aside" if "." in item else "here" for item in held]
        return found

    def back(self, server: str) -> dict[str, Any] | None:
        """The server once it is ACTIVE again after a resize that failed."""
        shown = self.admin.server(server)
        settled = shown["status"] == "ACTIVE" and shown["OS-EXT-STS:task_state"] is None
        return shown if settled and self.actions(server)["resize"] == "Error" else None

    def tried(self, server: str) -> int:
        """How many hosts the newest move was given to."""
        decisions = self.admin.ok("GET", "compute", f"/servers/{server}/os-kilonova-decisions")["decisions"]
        actions = self.admin.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        return len([one for one in decisions if one["request_id"] == actions[0]["request_id"]])

    def unlimited(self) -> None:
        quotas = {"instances": -1, "cores": -1, "ram": -1}
        self.admin.ok("PUT", "compute", f"/os-quota-sets/{self.admin.project_id}", {"quota_set": quotas})

    def actions(self, server: str) -> dict[str, str | None]:
        found = self.admin.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        return {action["action"]: action["message"] for action in found}


def test_resize_confirm(hosts: ThreadedCloud) -> None:
    place = Moving(hosts, "10.90.0.0/24")
    server = place.launch("h-1")
    before = {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(server)}
    small = place.held(server)
    place.resize(server)
    place.admin.wait(server, "VERIFY_RESIZE")
    host = place.host(server)
    assert host != "h-1"
    assert place.flavor(server) == "m1.small"
    place.lives_on(server, host)
    assert {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(server)} == before
    move = place.migration(server)
    assert (move["migration_type"], move["status"]) == ("resize", "finished")
    assert (move["source_compute"], move["dest_compute"]) == ("h-1", host)
    assert None not in (move["old_instance_type_id"], move["new_instance_type_id"])
    # the old claim is the migration's
    assert place.claims(move["uuid"]) == ["h-1"]
    assert place.held(move["uuid"]) == small
    assert place.held(server)["MEMORY_MB"] > small["MEMORY_MB"]
    assert place.disks(server) == {"h-1": ["aside"], host: ["here"]}
    assert unexplained(place.admin) == []
    assert place.act(server, "confirmResize").status_code == 204
    place.admin.wait(server, "ACTIVE")
    eventually(lambda: place.migration(server)["status"] == "confirmed", "it is not confirmed")
    eventually(lambda: place.claims(move["uuid"]) == [], "the old claim stays")
    place.lives_on(server, host)
    assert place.actions(server) == {"create": None, "resize": None, "confirmResize": None}
    assert place.disks(server) == {host: ["here"]}
    assert place.act(server, "confirmResize").status_code == 409
    assert place.act(server, "revertResize").status_code == 409
    assert unexplained(place.admin) == []
    place.remove(server)
    assert unexplained(place.admin) == []


def test_resize_revert(hosts: ThreadedCloud) -> None:
    place = Moving(hosts, "10.91.0.0/24")
    server = place.launch("h-2")
    small = place.held(server)
    place.resize(server)
    place.admin.wait(server, "VERIFY_RESIZE")
    assert place.act(server, "revertResize").status_code == 202
    place.admin.wait(server, "ACTIVE")
    assert place.flavor(server) == "m1.tiny"
    place.lives_on(server, "h-2")
    assert place.held(server) == small
    assert place.migration(server)["status"] == "reverted"
    assert place.claims(place.migration(server)["uuid"]) == []
    assert place.actions(server) == {"create": None, "resize": None, "revertResize": None}
    assert place.disks(server) == {"h-2": ["here"]}
    assert unexplained(place.admin) == []
    place.remove(server)


def test_migrate(hosts: ThreadedCloud) -> None:
    """A stopped server stays off, to the host that was named and back."""
    place = Moving(hosts, "10.92.0.0/24")
    server = place.launch("h-1")
    place.admin.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    place.admin.wait(server, "SHUTOFF")
    assert place.act(server, "migrate", {"host": "h-1"}).status_code == 400
    assert place.act(server, "migrate", {"host": "h-9"}).status_code == 400
    assert place.act(server, "migrate", {"host": "h-3"}).status_code == 202
    place.admin.wait(server, "VERIFY_RESIZE")
    place.lives_on(server, "h-3")
    assert place.migration(server)["migration_type"] == "migration"
    assert place.act(server, "confirmResize").status_code == 204
    place.admin.wait(server, "SHUTOFF")
    place.admin.ok("POST", "compute", f"/servers/{server}/action", {"os-start": None})
    place.admin.wait(server, "ACTIVE")
    assert place.act(server, "migrate").status_code == 202
    place.admin.wait(server, "VERIFY_RESIZE")
    assert place.host(server) != "h-3"
    assert place.act(server, "revertResize").status_code == 202
    place.admin.wait(server, "ACTIVE")
    place.lives_on(server, "h-3")
    assert unexplained(place.admin) == []
    place.remove(server)
    assert unexplained(place.admin) == []


def test_a_host_that_fails_at_a_step(hosts: ThreadedCloud) -> None:
    """A new one is left without a trace, and the next has the server; after the last one, and where the old host itself fails,
    the server is on its old host as it was."""
    place = Moving(hosts, "10.93.0.0/24")
    arriving, leaving = grid(TAKE_OVER)[::3], grid(LEAVE)
    servers = place.launch_many("h-1", len(arriving) + len(leaving) + 1)
    place.unlimited()
    for (step, when), server in zip(arriving, servers, strict=False):
        hosts.cloud.core.faults.rules.append(FaultRule(step=step, when=when, do="fail"))
        place.resize(server)
        place.admin.wait(server, "VERIFY_RESIZE")
        assert hosts.cloud.core.faults.rules.pop().count == 0
        other = place.host(server)
        assert place.tried(server) == 2, f"{step} {when}"
        place.lives_on(server, other)
        assert place.disks(server) == {"h-1": ["aside"], other: ["here"]}, f"{step} {when}"
    assert unexplained(place.admin) == []
    for (step, when), server in zip(leaving, servers[len(arriving) :], strict=False):
        hosts.fail(step, "h-1", when)
        place.resize(server)
        eventually(lambda s=server: place.back(s), f"{step} {when}: it does not come back")
        assert hosts.cloud.core.faults.rules.pop().count == 0
        place.lives_on(server, "h-1")
        assert place.disks(server) == {"h-1": ["here"]}
    last = servers[-1]
    small = place.held(last)
    for host in ("h-2", "h-3"):
        hosts.fail("start", host)
    place.resize(last)
    eventually(lambda: place.back(last), "it does not come back")
    place.lives_on(last, "h-1")
    assert (place.flavor(last), place.held(last)) == ("m1.tiny", small)
    assert place.actions(last)["resize"] == "Error"
    assert place.migration(last)["status"] == "error"
    assert unexplained(place.admin) == []
    place.remove(*servers)
    assert unexplained(place.admin) == []


def test_a_way_back_that_fails(hosts: ThreadedCloud) -> None:
    """The server is ERROR where it is, and a hard reboot there brings it up with its disks."""
    place = Moving(hosts, "10.94.0.0/24")
    for step in (WITHDRAW[1], COME_BACK[1], COME_BACK[-1]):
        server = place.launch("h-1")
        place.resize(server)
        place.admin.wait(server, "VERIFY_RESIZE")
        hosts.cloud.core.faults.rules.append(FaultRule(step=step.name, when="before", do="fail"))
        assert place.act(server, "revertResize").status_code == 202
        place.admin.wait(server, "ERROR")
        assert hosts.cloud.core.faults.rules.pop().count == 0
        assert place.actions(server)["revertResize"] == "Error"
        assert place.act(server, "reboot", {"type": "HARD"}).status_code == 202
        place.admin.wait(server, "ACTIVE")
        place.lives_on(server, place.host(server))
        place.remove(server)
        eventually(lambda s=server: place.disks(s) == {}, lambda s=server: f"disks stay: {place.disks(s)}")
        assert unexplained(place.admin) == []


def test_interfaces_that_were_attached_come_along(hosts: ThreadedCloud) -> None:
    """The new host's grant covers ports that the server got later, made by compute or the user's."""
    place = Moving(hosts, "10.87.0.0/24")
    admin, server = place.admin, place.launch("h-1")
    network = admin.ok("GET", "network", f"/ports?device_id={server}")["ports"][0]["network_id"]
    given = [admin.ok("POST", "network", "/ports", {"port": {"network_id": network}})["port"]["id"] for _ in range(2)]
    for body in ({"net_id": network}, *({"port_id": port} for port in given)):
        admin.ok("POST", "compute", f"/servers/{server}/os-interface", {"interfaceAttachment": body})
    assert admin("DELETE", "compute", f"/servers/{server}/os-interface/{given[0]}").status_code == 202

    def bound() -> list[str]:
        ports = admin.ok("GET", "network", f"/ports?device_id={server}")["ports"]
        return sorted(port["binding:host_id"] for port in ports)

    eventually(lambda: bound() == ["h-1"] * 3, lambda: f"{bound()}")
    place.resize(server)
    admin.wait(server, "VERIFY_RESIZE")
    eventually(lambda: bound() == [place.host(server)] * 3, lambda: f"{bound()}")
    assert place.host(server) != "h-1"
    assert place.act(server, "revertResize").status_code == 202
    admin.wait(server, "ACTIVE")
    eventually(lambda: bound() == ["h-1"] * 3, lambda: f"{bound()}")
    place.remove(server)
    assert admin.ok("GET", "network", f"/ports/{given[1]}")["port"]["device_id"] == ""
    for port in given:
        admin.ok("DELETE", "network", f"/ports/{port}")
    assert unexplained(admin) == []


def test_moved_again_after_a_way_back_that_failed(hosts: ThreadedCloud) -> None:
    """An operator has set its state: what was set aside before is what the next move brings along."""
    place = Moving(hosts, "10.88.0.0/24")
    server = place.launch("h-1")
    place.resize(server)
    place.admin.wait(server, "VERIFY_RESIZE")
    hosts.cloud.core.faults.rules.append(FaultRule(step=COME_BACK[1].name, when="before", do="fail"))
    assert place.act(server, "revertResize").status_code == 202
    place.admin.wait(server, "ERROR")
    assert hosts.cloud.core.faults.rules.pop().count == 0
    assert place.disks(server) == {"h-1": ["aside"]}
    assert place.act(server, "os-resetState", {"state": "active"}).status_code == 202
    place.resize(server)
    place.admin.wait(server, "VERIFY_RESIZE")
    assert place.act(server, "confirmResize").status_code == 204
    eventually(lambda: place.disks(server) == {place.host(server): ["here"]}, lambda: f"{place.disks(server)}")
    assert place.host(server) != "h-1"
    place.lives_on(server, place.host(server))
    place.remove(server)
    assert unexplained(place.admin) == []


@pytest.mark.parametrize("legs", [LEAVE, TAKE_OVER, WITHDRAW, COME_BACK], ids=["leave", "arrive", "withdraw", "return"])
def test_an_agent_that_dies_at_a_step_goes_on(hosts: ThreadedCloud, legs: tuple[Step, ...]) -> None:
    """All hosts' agents are killed before each step, and started again."""
    place = Moving(hosts, "10.95.0.0/24")
    back, rules = legs in (WITHDRAW, COME_BACK), hosts.cloud.core.faults.rules
    server = place.launch("h-1")
    for step in legs:
        if back:
            place.resize(server)
            place.admin.wait(server, "VERIFY_RESIZE")
        rules.append(FaultRule(step=step.name, when="before", do="hang"))
        if back:
            assert place.act(server, "revertResize").status_code == 202
        else:
            place.resize(server)
        eventually(lambda: rules[-1].count == 0, f"it does not come to {step.name}")
        for name in hosts.names:
            hosts.kill_host(name)
        rules.clear()
        for name in hosts.names:
            hosts.start_host(name)
        if not back:
            place.admin.wait(server, "VERIFY_RESIZE")
            place.lives_on(server, place.host(server))
            assert place.disks(server) == {"h-1": ["aside"], place.host(server): ["here"]}
            assert place.act(server, "revertResize").status_code == 202
        place.admin.wait(server, "ACTIVE")
        place.lives_on(server, "h-1")
        assert place.disks(server) == {"h-1": ["here"]}
    assert unexplained(place.admin) == []
    place.remove(server)


def test_evacuated_from_a_host_that_dies_while_it_is_left(hosts: ThreadedCloud) -> None:
    """The evacuation cuts the resize off; the host removes what it had set aside when it returns."""
    place = Moving(hosts, "10.88.0.0/24")
    server = place.launch("h-1")
    rules = hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="set_aside", when="after", do="hang"))
    place.resize(server)
    eventually(lambda: rules[-1].count == 0, "it does not come to the step")
    move = place.migration(server)["uuid"]
    place.die("h-1")
    rules.clear()
    assert place.evacuate(server).status_code == 200
    place.admin.wait(server, "ACTIVE")
    host = place.host(server)
    assert host != "h-1"
    assert place.flavor(server) == "m1.tiny"
    used = place.admin.ok("GET", "compute", "/limits")["limits"]["absolute"]["totalRAMUsed"]
    assert used == 512
    eventually(lambda: place.claims(move) == [], "the migration's claim stays")
    place.lives_on(server, host)
    place.return_("h-1")
    eventually(lambda: place.disks(server) == {host: ["here"]}, lambda: f"disks stay: {place.disks(server)}")
    assert unexplained(place.admin) == []
    place.remove(server)


def test_a_new_host_that_does_not_return_is_given_up(hosts: ThreadedCloud) -> None:
    place = Moving(hosts, "10.96.0.0/24")
    server = place.launch("h-1")
    rules = hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="start", when="before", do="hang"))
    place.resize(server)
    eventually(lambda: rules[-1].count == 0, "it does not come to the step")
    there = place.migration(server)["dest_compute"]
    hosts.kill_host(there)
    rules.clear()
    force_down(place.admin, there)
    place.admin.wait(server, "VERIFY_RESIZE")
    (other,) = {"h-2", "h-3"} - {there}
    place.lives_on(server, other)
    place.return_(there)
    eventually(lambda: place.disks(server) == {"h-1": ["aside"], other: ["here"]}, "it keeps its part")
    place.remove(server)
    assert unexplained(place.admin) == []


@pytest.mark.parametrize("step", ["set_aside", "take_disks", "start", "", "give_up", "put_back"])
def test_deleted_on_the_way(hosts: ThreadedCloud, step: str) -> None:
    """Nothing is left on any host."""
    place = Moving(hosts, f"10.97.{len(step)}.0/24")
    server = place.launch("h-1")
    rules = hosts.cloud.core.faults.rules
    if step:
        rules.append(FaultRule(step=step, when="before", do="hang"))
    place.resize(server)
    if step in ("", "give_up", "put_back"):
        place.admin.wait(server, "VERIFY_RESIZE")
    if step in ("give_up", "put_back"):
        assert place.act(server, "revertResize").status_code == 202
    move = place.migration(server)["uuid"]
    if step:
        eventually(lambda: rules[-1].count == 0, "it does not come to the step")
    place.admin.ok("DELETE", "compute", f"/servers/{server}")
    rules.clear()
    for name in hosts.names:
        hosts.kill_host(name)
        hosts.start_host(name)
    place.admin.wait_gone(server)
    eventually(lambda: place.disks(server) == {}, lambda: f"disks stay: {place.disks(server)}")
    eventually(lambda: place.claims(move) == [], "the migration's claim stays")
    assert unexplained(place.admin) == []


def test_confirm_and_revert_at_once(hosts: ThreadedCloud) -> None:
    place = Moving(hosts, "10.98.0.0/24")
    servers = [place.launch("h-1") for _ in range(4)]
    for server in servers:
        place.resize(server)
    for server in servers:
        place.admin.wait(server, "VERIFY_RESIZE")
        with ThreadPoolExecutor(4) as pool:
            asked = ["confirmResize", "revertResize"] * 2
            codes = list(pool.map(lambda action, s=server: place.act(s, action).status_code, asked))
        done = [code for code in codes if code < 300]
        assert len(done) == 1, codes
        assert {code for code in codes if code >= 300} <= {400, 409}
        place.admin.wait(server, "ACTIVE")
        assert (place.host(server) == "h-1") == (done == [202])
        place.lives_on(server, place.host(server))
    place.remove(*servers)
    assert unexplained(place.admin) == []


def test_refused(hosts: ThreadedCloud) -> None:
    place = Moving(hosts, "10.99.0.0/24")
    admin, server = place.admin, place.launch("h-1")
    fields = {"ram": 512, "vcpus": 1, "disk": 1}

    def flavor(name: str, **more: Any) -> str:
        return str(admin.ok("POST", "compute", "/flavors", {"flavor": fields | {"name": name} | more})["flavor"]["id"])

    big = flavor("too-big", vcpus=10000, ram=1 << 30)
    refusals = [
        (admin.flavor_id("m1.tiny"), 400, "instances must change flavor"),
        ("nothing", 400, "Flavor nothing could not be found."),
        (flavor("no-disk", disk=0), 400, "Resize to zero disk flavor is not allowed."),
        (big, 403, "Quota exceeded for cores, ram"),
    ]
    admin.ok(
        "PUT",
        "compute",
        f"/os-quota-sets/{admin.project_id}",
        {"quota_set": {"instances": -1, "cores": 20, "ram": 51200}},
    )
    for wanted, status, words in refusals:
        answer = place.act(server, "resize", {"flavorRef": wanted})
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    place.unlimited()
    # no host has room: it stays as it is
    assert place.act(server, "resize", {"flavorRef": big}).status_code == 202
    eventually(lambda: place.back(server), "it does not stay")
    place.lives_on(server, "h-1")
    assert place.held(server)["VCPU"] == 1
    for action in ("confirmResize", "revertResize"):
        assert place.act(server, action).status_code == 409
    place.resize(server)
    admin.wait(server, "VERIFY_RESIZE")
    for action, body in (("resize", {"flavorRef": big}), ("migrate", None), ("os-stop", None)):
        assert place.act(server, action, body).status_code == 409
    place.remove(server)
    assert unexplained(admin) == []


@pytest.mark.parametrize("shared", [False, True])
def test_on_the_same_host_and_on_shared_disks(tmp_path: Path, shared: bool) -> None:
    """The disks are copied where they are; what is set aside comes back, or goes."""
    same = {"compute": {"allow_resize_to_same_host": True, "resize_confirm_window": 1.0}}
    cloud = ThreadedCloud(tmp_path / "state", hosts=2, **({"shared_disks": True} if shared else same))
    hosts = cloud.start()
    try:
        place = Moving(hosts, "10.89.0.0/24")
        if not shared:
            (service,) = place.admin.ok("GET", "compute", "/os-services?host=h-2&binary=nova-compute")["services"]
            place.admin.ok("PUT", "compute", f"/os-services/{service['id']}", {"status": "disabled"})
        first = place.launch("h-1")
        place.resize(first)
        place.admin.wait(first, "VERIFY_RESIZE")
        assert "aside" in place.disks(first)["h-1"]
        assert "here" in place.disks(first)["h-1"]
        place.lives_on(first, "h-2" if shared else "h-1")
        if shared:
            assert place.act(first, "revertResize").status_code == 202
        place.admin.wait(first, "ACTIVE")  # the window is over
        eventually(lambda: place.disks(first)["h-1"] == ["here"], lambda: f"{place.disks(first)}")
        assert place.flavor(first) == ("m1.tiny" if shared else "m1.small")
        assert place.actions(first).keys() == {"create", "resize", "revertResize" if shared else "confirmResize"}
        place.lives_on(first, "h-1")
        second = place.launch("h-1")
        place.resize(second)
        place.admin.wait(second, "VERIFY_RESIZE")
        assert place.act(second, "confirmResize" if shared else "revertResize").status_code in (202, 204)
        place.admin.wait(second, "ACTIVE")
        eventually(
            lambda: {what for held in place.disks(second).values() for what in held} == {"here"},
            lambda: f"{place.disks(second)}",
        )
        place.lives_on(second, "h-2" if shared else "h-1")
        place.remove(first, second)
        assert place.disks(second) == {}
        assert unexplained(place.admin) == []
    finally:
        hosts.stop()


def test_evacuated_onto_shared_disks_that_were_aside(tmp_path: Path) -> None:
    """They are found where the resize that was cut off had put them, and the old host leaves them alone when it returns."""
    hosts = ThreadedCloud(tmp_path / "state", hosts=2, shared_disks=True).start()
    try:
        place = Moving(hosts, "10.87.0.0/24")
        server = place.launch("h-1")
        rules = hosts.cloud.core.faults.rules
        rules.append(FaultRule(step="set_aside", when="after", do="hang"))
        place.resize(server)
        eventually(lambda: rules[-1].count == 0, "it does not come to the step")
        assert place.disks(server) == {"h-1": ["aside"], "h-2": ["aside"]}
        place.die("h-1")
        rules.clear()
        assert place.evacuate(server).status_code == 200
        place.admin.wait(server, "ACTIVE")
        place.lives_on(server, "h-2")
        assert place.disks(server) == {"h-1": ["here"], "h-2": ["here"]}
        place.return_("h-1")
        eventually(lambda: place.migration(server)["status"] == "completed", "the old host is not rid of it")
        assert place.disks(server) == {"h-1": ["here"], "h-2": ["here"]}
        assert unexplained(place.admin) == []
    finally:
        hosts.stop()
