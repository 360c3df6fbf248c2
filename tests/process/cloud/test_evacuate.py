"""Servers of a dead host, on a cloud of three hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from kilonova.compute.steps import STEPS
from kilonova.compute.tables import outbox
from kilonova.core.bus.base import Envelope
from kilonova.core.faults import FaultRule
from tests.eventually import eventually
from tests.process.scenarios import evacuation
from tests.process.scenarios.evacuation import Place
from tests.process.scenarios.hosts import ThreadedCloud, force_down, force_up, unexplained

AGENT_STEPS = [step.name for step in STEPS if step.component == "compute" and step.name != "active"]
GRID = [(step, when) for step in AGENT_STEPS for when in ("before", "after")]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedCloud]:
    cloud = ThreadedCloud(tmp_path_factory.mktemp("evacuate") / "state").start()
    yield cloud
    cloud.stop()


def test_evacuate_and_return(hosts: ThreadedCloud) -> None:
    evacuation.evacuate_and_return(hosts)


def test_delete_from_a_dead_host(hosts: ThreadedCloud) -> None:
    evacuation.delete_from_a_dead_host(hosts)


def test_remove_a_host_for_good(hosts: ThreadedCloud) -> None:
    evacuation.remove_a_host_for_good(hosts)

    async def waiting() -> list[str]:
        database = hosts.cloud.deps.database.database
        async with database.reading() as connection:
            rows = (await connection.execute(select(outbox.c.body))).all()
        return [envelope.method for envelope in (msgspec.msgpack.decode(row.body, type=Envelope) for row in rows)]

    eventually(lambda: hosts.run(waiting()) == [], f"messages wait: {hosts.run(waiting())}")


def test_ports_that_change_while_the_host_is_dead(hosts: ThreadedCloud) -> None:
    """The server comes up with what is left of them, and what its user deleted is not made again."""
    place = Place(hosts, "10.81.0.0/24")
    admin = place.admin
    server = admin.launch(place.image, [{"uuid": place.network}] * 2, availability_zone="nova:h-1")
    admin.wait(server, "ACTIVE")
    moved, deleted = place.ports(server)
    place.die("h-1")
    admin.ok("DELETE", "network", f"/ports/{deleted['id']}")
    body = {"port": {"fixed_ips": [{"ip_address": "10.81.0.200"}]}}
    admin.ok("PUT", "network", f"/ports/{moved['id']}", body)
    assert place.evacuate(server).status_code == 200
    shown = admin.wait(server, "ACTIVE")
    assert [address["addr"] for found in shown["addresses"].values() for address in found] == ["10.81.0.200"]
    assert [port["id"] for port in place.ports(server)] == [moved["id"]]
    place.lives_on(server, place.host(server))
    place.return_("h-1")
    place.remove(server)
    assert unexplained(admin) == []


def test_a_new_host_that_fails_at_a_step_is_left(hosts: ThreadedCloud) -> None:
    """Its traces go, the ports are bound anew, the next host has the server; after the last one the server is ERROR where it
    was, and can be evacuated again."""
    place = Place(hosts, "10.79.0.0/24")
    servers = place.launch_many("h-1", len(GRID) + 1)
    place.die("h-1")
    for (step, when), server in zip(GRID, servers[1:], strict=True):
        hosts.fail(step, "h-2", when)
        assert place.evacuate(server).status_code == 200
        place.admin.wait(server, "ACTIVE")
        eventually(lambda s=server: place.host(s) == "h-3", f"{step} {when}: on {place.host(server)}")
        place.lives_on(server, "h-3")
        assert hosts.cloud.core.faults.rules.pop().count == 0, "the fault did not strike"
    assert unexplained(place.admin, dead="h-1") == []
    last = servers[0]
    for host in ("h-2", "h-3"):
        hosts.fail("start", host)
    assert place.evacuate(last).status_code == 200
    fault = place.admin.wait(last, "ERROR")["fault"]
    assert "Evacuation failed on 2 hosts: start: injected fault before step start" in fault["message"]
    for host in ("h-2", "h-3"):
        assert host not in fault["message"]
        assert f"{host}: start: injected fault before step start" in fault["details"]
    place.lives_on(last, "h-1")
    assert place.migration(last)["status"] == "error"
    assert unexplained(place.admin, dead="h-1") == []
    # a host that was asked for is the only one tried
    hosts.cloud.core.faults.rules.clear()
    hosts.fail("image", "h-3")
    assert place.evacuate(last, host="h-3").status_code == 200
    fault = place.admin.wait(last, "ERROR")["fault"]
    eventually(
        lambda: (
            place.admin.server(last)["fault"]["message"]
            == "Evacuation failed on 1 host: image: injected fault before step image"
        ),
        f"{fault}",
    )
    assert place.evacuate(last).status_code == 200
    place.admin.wait(last, "ACTIVE")
    place.return_("h-1")
    place.remove(*servers)
    assert unexplained(place.admin) == []


def test_the_new_host_dies_too(hosts: ThreadedCloud) -> None:
    """Back in time it goes on with what it had begun; else another host is tried, and it removes its part when it returns."""
    place = Place(hosts, "10.83.0.0/24")
    taken_up, handed_on = place.launch("h-1"), place.launch("h-1")
    place.die("h-1")
    rules = hosts.cloud.core.faults.rules
    rules.clear()
    for server in (taken_up, handed_on):
        rules.append(FaultRule(step="plug", when="before", do="hang"))
        assert place.evacuate(server).status_code == 200
        eventually(lambda: rules[-1].count == 0, "it does not come to the step")
        there = place.migration(server)["dest_compute"]
        hosts.kill_host(there)
        if server == handed_on:
            force_down(place.admin, there)
            place.admin.wait(server, "ACTIVE")
            (other,) = {"h-2", "h-3"} - {there}
            place.lives_on(server, other)
            place.return_(there)
        else:
            hosts.start_host(there)
            place.admin.wait(server, "ACTIVE")
            place.lives_on(server, there)
    rules.clear()
    place.return_("h-1")
    assert unexplained(place.admin) == []
    place.remove(taken_up, handed_on)
    assert unexplained(place.admin) == []


REFUSED: list[tuple[str, dict[str, Any] | None, int, str]] = [
    # microversion, evacuate, status, words
    ("2.13", {}, 400, "onSharedStorage"),
    ("2.14", {"onSharedStorage": False}, 400, "onSharedStorage"),
    ("2.13", {"onSharedStorage": True, "adminPass": "x"}, 400, "admin password can't be changed on existing disk"),
    ("2.28", {"force": True, "host": "h-2"}, 400, "force"),
    ("2.29", {"force": True}, 400, "Can't force to a non-provided destination"),
    ("2.68", {"force": True, "host": "h-2"}, 400, "force"),
    ("2.90", {"host": "nowhere"}, 404, "Compute host nowhere not found."),
    ("2.90", {"host": "h-1"}, 400, "The target host can't be the same one."),
    ("2.90", {"host": ""}, 400, "host"),
    ("2.90", {"nonsense": 1}, 400, "nonsense"),
    ("2.90", None, 400, ""),
]


def test_what_is_refused_changes_nothing(hosts: ThreadedCloud) -> None:
    place, demo = Place(hosts, "10.80.0.0/24"), hosts.api("demo")
    server = place.launch("h-1")
    mine = demo.launch(demo.image("mine"))
    demo.wait(mine, "ACTIVE")
    refused = demo("POST", "compute", f"/servers/{mine}/action", {"evacuate": {}})
    assert refused.status_code == 403
    force_down(place.admin, "h-1")
    for version, asked, status, words in REFUSED:
        api = hosts.api(version=version)
        answer = api("POST", "compute", f"/servers/{server}/action", {"evacuate": asked})
        assert (answer.status_code, words in answer.text) == (status, True), (version, asked, answer.text)
    assert place.admin.server(server)["OS-EXT-STS:task_state"] is None
    assert place.admin.ok("GET", "compute", f"/os-migrations?instance_uuid={server}")["migrations"] == []
    # only by hand does a server come into a state from which it can't go
    force_up(place.admin, "h-1")
    place.remove(server)
    demo.ok("DELETE", "compute", f"/servers/{mine}")
    demo.wait_gone(mine)


def test_older_versions(hosts: ThreadedCloud) -> None:
    """A password comes back until 2.13; a forced host meets no filter; the old way to say that a host is dead."""
    place, old = Place(hosts, "10.81.0.0/24"), hosts.api(version="2.13")
    server, other = place.launch("h-1"), place.launch("h-1")
    hosts.kill_host("h-1")
    down = {"host": "h-1", "binary": "nova-compute", "forced_down": True}
    assert old.ok("PUT", "compute", "/os-services/force-down", down)["service"]["forced_down"] is True
    body = {"evacuate": {"onSharedStorage": "False", "adminPass": "from-now-on"}}
    assert old.ok("POST", "compute", f"/servers/{server}/action", body) == {"adminPass": "from-now-on"}
    old.wait(server, "ACTIVE")
    forced = hosts.api(version="2.30")
    answer = forced("POST", "compute", f"/servers/{other}/action", {"evacuate": {"host": "h-3", "force": True}})
    assert (answer.status_code, answer.content) == (200, b"")
    forced.wait(other, "ACTIVE")
    eventually(lambda: place.host(other) == "h-3", "it is not where it was forced to")
    # what was said to be shared and is not
    lost = place.launch("h-2")
    place.die("h-2")
    old.ok("POST", "compute", f"/servers/{lost}/action", {"evacuate": {"onSharedStorage": True}})
    assert "the server's disk is not on this host's storage" in old.wait(lost, "ERROR")["fault"]["message"]
    for host in ("h-1", "h-2"):
        place.return_(host)
    place.remove(server, other, lost)
    assert unexplained(place.admin) == []


def test_shared_disks_stay(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The new host finds the disk on its storage and uses it; neither a failed attempt nor the old host removes it."""
    cloud = ThreadedCloud(tmp_path_factory.mktemp("shared") / "state", hosts=2, shared_disks=True).start()
    try:
        place = Place(cloud)
        server = place.launch("h-1")
        disks = cloud.agent("h-2").manager.host.driver.disks
        place.die("h-1")
        cloud.fail("define", "h-2")
        assert place.evacuate(server).status_code == 200
        place.admin.wait(server, "ERROR")
        assert cloud.run(disks.present(server))
        assert place.evacuate(server).status_code == 200
        place.admin.wait(server, "ACTIVE")
        place.lives_on(server, "h-2")
        place.return_("h-1")
        eventually(lambda: place.migration(server)["status"] == "completed", "the host is not rid of it")
        assert cloud.run(disks.present(server))
        assert server not in [guest.uuid for guest in cloud.run(cloud.agent("h-1").manager.host.driver.guests())]
        place.remove(server)
        assert not cloud.run(disks.present(server))
    finally:
        cloud.stop()
