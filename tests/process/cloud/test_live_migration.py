"""Live migration on a cloud of three hosts, through the API: guests are fake, what leads from host to host is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.steps import LAND, RECEIVE, SEND, Step
from kilonova.compute.virt.driver import PowerState
from kilonova.core.faults import FaultRule
from tests.eventually import eventually
from tests.process.scenarios.evacuation import Place
from tests.process.scenarios.hosts import ThreadedCloud, force_down, force_up, unexplained


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedCloud]:
    cloud = ThreadedCloud(tmp_path_factory.mktemp("live") / "state").start()
    yield cloud
    cloud.stop()


class Live(Place):
    """Servers that are sent while they run."""

    hosts: ThreadedCloud

    def act(self, server: str, action: str, body: Any = None) -> Any:
        return self.admin("POST", "compute", f"/servers/{server}/action", {action: body})

    def migrate(self, server: str, host: str | None = None, block: Any = "auto") -> None:
        answer = self.act(server, "os-migrateLive", {"host": host, "block_migration": block})
        assert answer.status_code == 202, answer.text

    def ended(self, server: str, status: str = "completed") -> dict[str, Any]:
        """The newest migration, once it has this status."""
        found = eventually(lambda: (m := self.migration(server))["status"] == status and m, f"it is not {status}")
        return dict(found)

    def guests(self, server: str) -> dict[str, PowerState]:
        """Host → the power state of the guest that it has."""
        found = {}
        for name in self.hosts.names:
            driver: Any = self.hosts.agent(name).manager.host.driver
            guest = driver._hypervisor.guests(name).get(server)
            if guest is not None:
                found[name] = PowerState(guest.state)
        return found

    def disks(self, server: str) -> list[str]:
        stores = {name: self.hosts.agent(name).manager.host.driver.disks for name in self.hosts.names}
        return [name for name, store in stores.items() if server in store._hypervisor.disks(store._host)]  # type: ignore[attr-defined]

    def is_only_on(self, server: str, host: str, state: PowerState = PowerState.RUNNING) -> None:
        self.lives_on(server, host)
        eventually(lambda: self.guests(server) == {host: state}, f"guests: {self.guests(server)}")
        eventually(lambda: self.disks(server) == [host], "its disks are elsewhere")
        assert {port["status"] for port in self.ports(server)} == {"ACTIVE"}
        assert [port["binding:profile"] for port in self.ports(server)] == [{}]


def test_there_and_back(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.95.0.0/24")
    server = place.launch("h-1")
    before = place.admin.server(server)
    ports = {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(server)}
    place.migrate(server, "h-2")
    done = place.ended(server)
    assert (done["migration_type"], done["source_compute"], done["dest_compute"]) == ("live-migration", "h-1", "h-2")
    assert (done["old_instance_type_id"], done.get("links")) == (None, None)
    place.is_only_on(server, "h-2")
    after = place.admin.server(server)
    for name in ("status", "OS-SRV-USG:launched_at", "flavor", "addresses", "OS-EXT-STS:power_state"):
        assert after[name] == before[name], name
    assert {port["id"]: (port["mac_address"], port["fixed_ips"]) for port in place.ports(server)} == ports
    eventually(lambda: place.claims(done["uuid"]) == [], "the old claim stays")
    place.migrate(server)
    place.ended(server)
    place.is_only_on(server, place.host(server))
    assert place.host(server) != "h-2"
    place.remove(server)
    assert unexplained(place.admin) == []


def test_a_paused_server_stays_paused(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.96.0.0/24")
    server = place.launch("h-1")
    assert place.act(server, "pause").status_code == 202
    place.admin.wait(server, "PAUSED")
    place.migrate(server, "h-3")
    place.ended(server)
    place.admin.wait(server, "PAUSED")
    place.is_only_on(server, "h-3", PowerState.PAUSED)
    place.remove(server)


def stays(place: Live, server: str, status: str) -> dict[str, Any]:
    """The server is on its old host as before, once the migration has ended with this status."""
    done = place.ended(server, status)
    shown = place.admin.wait(server, "ACTIVE")
    assert shown["OS-EXT-STS:task_state"] is None
    place.is_only_on(server, "h-1")
    eventually(lambda: place.claims(done["uuid"]) == [], "the migration's claim stays")
    assert unexplained(place.admin) == []
    return done


@pytest.mark.parametrize("step", [*RECEIVE, *SEND], ids=lambda step: step.name)
def test_a_step_that_fails_leaves_the_server_where_it_is(hosts: ThreadedCloud, step: Step) -> None:
    place = Live(hosts, "10.97.0.0/24")
    server = place.launch("h-1")
    hosts.fail(step.name, "h-1" if step in SEND else "h-2")
    place.migrate(server, "h-2")
    stays(place, server, "failed" if step in SEND else "error")
    (action,) = [a for a in place.admin.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
                 if a["action"] == "live-migration"]  # fmt: skip
    assert action["message"] == "Error"
    place.remove(server)


def test_the_next_host_is_tried(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.98.0.0/24")
    server = place.launch("h-1")
    hosts.cloud.core.faults.rules.append(FaultRule(step=RECEIVE[-1].name, when="before", do="fail"))
    place.migrate(server)
    place.ended(server)
    assert hosts.cloud.core.faults.rules.pop().count == 0
    place.is_only_on(server, place.host(server))
    place.remove(server)
    assert unexplained(place.admin) == []


@pytest.mark.parametrize("step", [*RECEIVE, *SEND, *LAND], ids=lambda step: step.name)
def test_agents_that_die_at_a_step(hosts: ThreadedCloud, step: Step) -> None:
    """All of them, before the step: what is being made ready, or is there, goes on; what is being sent stays."""
    place = Live(hosts, "10.99.0.0/24")
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step=step.name, when="before", do="hang"))
    place.migrate(server, "h-2")
    eventually(lambda: rules[-1].count == 0, f"it does not come to {step.name}")
    for name in hosts.names:
        hosts.kill_host(name)
    rules.clear()
    for name in hosts.names:
        hosts.start_host(name)
    if step in SEND:
        stays(place, server, "failed")
    else:
        place.ended(server)
        place.admin.wait(server, "ACTIVE")
        place.is_only_on(server, "h-2")
    place.remove(server)
    assert unexplained(place.admin) == []


def test_an_agent_that_dies_when_the_guest_was_sent(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.100.0.0/24")
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="send_guest", when="after", do="hang"))
    place.migrate(server, "h-2")
    eventually(lambda: rules[-1].count == 0, "it is not sent")
    assert place.guests(server) == {"h-2": PowerState.RUNNING}  # before any report
    hosts.kill_host("h-1")
    rules.clear()
    hosts.start_host("h-1")
    place.ended(server)
    place.is_only_on(server, "h-2")
    place.remove(server)
    assert unexplained(place.admin) == []


def test_the_new_host_dies_while_it_makes_ready(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.101.0.0/24")
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="receive_guest", when="after", do="hang"))
    place.migrate(server, "h-2")
    eventually(lambda: rules[-1].count == 0, "it does not come to the step")
    place.die("h-2")
    rules.clear()
    place.ended(server, "error")
    assert place.guests(server) == {"h-1": PowerState.RUNNING}
    place.return_("h-2")
    stays(place, server, "error")
    place.remove(server)


@pytest.fixture
def slowly(hosts: ThreadedCloud) -> Iterator[dict[str, float]]:
    """What the fake hypervisors take their time for: a guest is on its way until it is told otherwise."""
    driver: Any = hosts.agent("h-1").manager.host.driver
    delay: dict[str, float] = driver._options.delay
    delay["send"] = 300.0
    yield delay
    delay.clear()


def under_way(place: Live, server: str, status: str = "running") -> dict[str, Any]:
    """The live migration that is shown of the server, once it has this status."""
    url = f"/servers/{server}/migrations"

    def look() -> dict[str, Any] | None:
        found = place.admin.ok("GET", "compute", url)["migrations"]
        return next((one for one in found if one["status"] == status), None)

    return dict(eventually(look, f"none is {status}"))


def test_aborted_on_its_way(hosts: ThreadedCloud, slowly: dict[str, float]) -> None:
    place = Live(hosts, "10.102.0.0/24")
    server = place.launch("h-1")
    place.migrate(server, "h-2")
    found = under_way(place, server)
    assert place.admin.server(server)["status"] == "MIGRATING"
    url = f"/servers/{server}/migrations/{found['id']}"
    eventually(lambda: place.admin.ok("GET", "compute", url)["migration"]["memory_total_bytes"], "no progress is shown")
    shown = place.admin.ok("GET", "compute", url)["migration"]
    assert (shown["source_compute"], shown["dest_compute"], shown["server_uuid"]) == ("h-1", "h-2", server)
    assert shown["disk_remaining_bytes"] == shown["disk_total_bytes"] - shown["disk_processed_bytes"]
    (link, _) = place.migration(server)["links"]
    assert link["href"].endswith(url)
    assert place.claims(found["uuid"]) == ["h-1"]
    assert place.claims(server) == ["h-2"]
    assert place.admin("DELETE", "compute", url).status_code == 202
    stays(place, server, "cancelled")
    assert place.admin("DELETE", "compute", url).status_code == 409
    assert place.admin("GET", "compute", url).status_code == 404
    place.remove(server)


def test_aborted_before_it_is_on_its_way(hosts: ThreadedCloud, tmp_path: Path) -> None:
    place, gate = Live(hosts, "10.103.0.0/24"), tmp_path / "gate"
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="receive_guest", when="before", do=f"wait:{gate}"))
    place.migrate(server, "h-2")
    url = f"/servers/{server}/migrations/{under_way(place, server, 'preparing')['id']}"
    old = hosts.api(version="2.64")
    assert old("DELETE", "compute", url).status_code == 400
    assert place.admin("POST", "compute", f"{url}/action", {"force_complete": None}).status_code == 400
    assert place.admin("DELETE", "compute", url).status_code == 202
    gate.touch()
    stays(place, server, "cancelled")
    rules.clear()
    place.remove(server)


def test_forced_to_complete(hosts: ThreadedCloud, slowly: dict[str, float]) -> None:
    slowly["send"] = 3.0
    place = Live(hosts, "10.104.0.0/24")
    server = place.launch("h-1")
    place.migrate(server, "h-2")
    url = f"/servers/{server}/migrations/{under_way(place, server)['id']}/action"
    assert place.admin("POST", "compute", url, {"force_complete": None}).status_code == 202
    eventually(lambda: place.guests(server).get("h-1") == PowerState.PAUSED, "it is not paused")
    place.ended(server)
    place.is_only_on(server, "h-2")
    place.remove(server)


@pytest.mark.parametrize("step", ["receive_guest", "send_guest", "let_run"])
def test_deleted_on_its_way(hosts: ThreadedCloud, step: str) -> None:
    place = Live(hosts, "10.105.0.0/24")
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step=step, when="before", do="hang"))
    place.migrate(server, "h-2")
    eventually(lambda: rules[-1].count == 0, f"it does not come to {step}")
    migration = place.migration(server)["uuid"]
    place.admin.ok("DELETE", "compute", f"/servers/{server}")
    if step == "receive_guest":
        hosts.kill_host("h-2")  # it hangs there
        hosts.start_host("h-2")
    place.admin.wait_gone(server)
    rules.clear()
    eventually(
        lambda: place.guests(server) == {} and place.disks(server) == [], lambda: f"left: {place.guests(server)}"
    )
    eventually(lambda: place.claims(migration) == place.claims(server) == [], "claims stay")
    assert unexplained(place.admin) == []


def test_deleted_while_it_is_sent(hosts: ThreadedCloud, slowly: dict[str, float]) -> None:
    place = Live(hosts, "10.106.0.0/24")
    server = place.launch("h-1")
    place.migrate(server, "h-2")
    under_way(place, server)
    place.remove(server)
    eventually(
        lambda: place.guests(server) == {} and place.disks(server) == [], lambda: f"left: {place.guests(server)}"
    )
    assert unexplained(place.admin) == []


def test_evacuated_while_it_is_sent(hosts: ThreadedCloud, slowly: dict[str, float]) -> None:
    """Its host dies: what was made ready on the new one goes, and the server is brought up anew, there or elsewhere."""
    place = Live(hosts, "10.107.0.0/24")
    server = place.launch("h-1")
    place.migrate(server, "h-2")
    found = under_way(place, server)
    place.die("h-1")
    slowly.clear()
    assert place.evacuate(server).status_code == 200
    place.admin.wait(server, "ACTIVE")
    host = place.host(server)
    assert host != "h-1"
    place.lives_on(server, host)
    eventually(lambda: place.claims(found["uuid"]) == [], "the migration's claim stays")
    place.return_("h-1")
    place.is_only_on(server, host)
    assert unexplained(place.admin) == []
    place.remove(server)


def test_evacuated_when_the_host_dies_that_it_has_come_to(hosts: ThreadedCloud) -> None:
    place = Live(hosts, "10.108.0.0/24")
    server, rules = place.launch("h-1"), hosts.cloud.core.faults.rules
    rules.append(FaultRule(step="take_ports", when="before", do="hang"))
    place.migrate(server, "h-2")
    eventually(lambda: rules[-1].count == 0, "it does not come to the step")
    assert place.host(server) == "h-2"
    place.die("h-2")
    rules.clear()
    assert place.evacuate(server).status_code == 200
    place.admin.wait(server, "ACTIVE")
    host = place.host(server)
    place.lives_on(server, host)
    place.return_("h-2")
    place.is_only_on(server, host)
    assert unexplained(place.admin) == []
    place.remove(server)


def test_older_clients_are_told_what_speaks_against_it(hosts: ThreadedCloud) -> None:
    place, old = Live(hosts, "10.109.0.0/24"), hosts.api(version="2.24")
    server = place.launch("h-1")
    url, body = f"/servers/{server}/action", {"block_migration": False, "disk_over_commit": False, "host": "h-2"}
    refused = old("POST", "compute", url, {"os-migrateLive": body})
    assert refused.status_code == 400
    assert "block migration was not asked for" in refused.json()["badRequest"]["message"]
    stays(place, server, "error")
    force_down(place.admin, "h-2")
    refused = old("POST", "compute", url, {"os-migrateLive": body | {"block_migration": True}})
    assert (refused.status_code, refused.json()["badRequest"]["message"]) == (
        400, "Compute service of h-2 is unavailable at this time.",
    )  # fmt: skip
    force_up(place.admin, "h-2")
    assert old("POST", "compute", url, {"os-migrateLive": body | {"block_migration": True}}).status_code == 202
    place.ended(server)
    place.is_only_on(server, "h-2")
    place.remove(server)


def test_sent_again_after_an_operator_has_set_its_state(hosts: ThreadedCloud, slowly: dict[str, float]) -> None:
    """The first migration is cut off, on both hosts, and the second one goes all the way."""
    place = Live(hosts, "10.110.0.0/24")
    server = place.launch("h-1")
    place.migrate(server, "h-2")
    under_way(place, server)
    assert place.act(server, "os-resetState", {"state": "active"}).status_code == 202
    place.admin.wait(server, "ACTIVE")
    slowly.clear()
    place.migrate(server, "h-3")
    place.ended(server)
    place.is_only_on(server, "h-3")
    statuses = [
        m["status"] for m in place.admin.ok("GET", "compute", f"/os-migrations?instance_uuid={server}")["migrations"]
    ]
    assert statuses == ["completed", "failed"]
    place.remove(server)
    assert unexplained(place.admin) == []
