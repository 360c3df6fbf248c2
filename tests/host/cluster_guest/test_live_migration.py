"""Real guests go to the other host while they run: pinged by another guest, and with a connection that goes on."""

from __future__ import annotations

import itertools
import re

import pytest

from kilonova.testing.hosted import STATE
from tests.eventually import eventually
from tests.host.cluster_guest.conftest import HostedCloud, HostedGuests
from tests.host.cluster_guest.test_evacuate import running_on, share, unshare
from tests.host.guest_cloud.guests import Guest
from tests.process.scenarios.hosts import unexplained

pytestmark = [pytest.mark.guest, pytest.mark.timeout(500)]
INTERVAL = 0.05  # seconds between two pings


def migrate(guests: HostedGuests, guest: Guest, status: str = "completed") -> None:
    body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
    answer = guests.demo("POST", "compute", f"/servers/{guest.id}/action", body)
    assert answer.status_code == 202, answer.text
    path = f"/os-migrations?instance_uuid={guest.id}"

    def newest() -> str:
        return str(guests.demo.ok("GET", "compute", path)["migrations"][0]["status"])

    eventually(lambda: newest() == status, lambda: f"{newest()}: {fault(guests, guest)}")


def fault(guests: HostedGuests, guest: Guest) -> str:
    found = guests.demo.ok("GET", "compute", f"/servers/{guest.id}/os-kilonova-decisions")
    return str(found)[:500]


def gap(output: str) -> float:
    """The longest time without an answer, in seconds."""
    seen = [int(number) for number in re.findall(r"seq=(\d+)", output)]
    assert len(seen) > 20, output
    return max(later - earlier for earlier, later in itertools.pairwise(seen)) * INTERVAL


def uptime(guest: Guest) -> float:
    return float(guest.wait_ssh("cat /proc/uptime").split()[0])


@pytest.mark.parametrize("shared", [False, True], ids=["copied disk", "shared disk"])
def test_there_and_back(hosted: HostedCloud, guests: HostedGuests, shared: bool) -> None:
    first, second = hosted.hosts
    rules = [guests.allow("tcp", 22), guests.allow("tcp", 7000), guests.allow("icmp")]
    if shared:
        for host in hosted.hosts:
            share(hosted, host)
    watcher = guests.guest(guests.on(second, name="watcher"))
    guest = guests.guest(guests.on(first, name="traveller", config_drive=True))
    watcher.wait_ssh()
    guest.wait_ssh("echo mine > /root/kept && sync")
    before = uptime(guest)
    guest.wait_ssh("(while sleep 0.2; do cat /proc/uptime; done | nc -l -p 7000) >/dev/null 2>&1 </dev/null &")
    called = f"(while sleep 1; do echo; done) | nc {guest.ip} 7000 >> /tmp/lines"
    watcher.wait_ssh(f"(until {called}; do sleep 0.5; done) >/dev/null 2>&1 </dev/null &")
    watcher.wait_ssh(f"ping -i {INTERVAL} {guest.ip} > /tmp/pings 2>&1 </dev/null &")
    eventually(lambda: int(watcher.wait_ssh("wc -l < /tmp/lines")) > 3, "the connection is not made")
    migrate(guests, guest)
    moved = guests.guest(guest.id)
    assert [sorted(running_on(host)) for host in hosted.hosts] == [[], sorted([guest.id, watcher.id])]
    assert uptime(moved) > before
    lines = int(watcher.wait_ssh("wc -l < /tmp/lines"))
    eventually(lambda: int(watcher.wait_ssh("wc -l < /tmp/lines")) > lines + 3, "the connection does not go on")
    found = gap(watcher.wait_ssh("cat /tmp/pings"))
    print(f"longest gap between answers: {found * 1000:.0f} ms")
    assert found < 30
    assert moved.ssh("cat /root/kept; echo more >> /root/kept; sync").stdout.strip() == "mine"
    moved.wait_console(r"cloudinit: source=(\w+)")  # what it said on its first host
    if not shared:
        eventually(lambda: guest.id not in first.run("ls", f"{STATE}/instances").stdout, "its old disk stays")
    assert unexplained(guests.demo) == []
    # back, and switched off and on there: its disk is all there
    migrate(guests, moved)
    assert running_on(first) == [guest.id]
    back = guests.guest(guest.id)
    body = {"reboot": {"type": "HARD"}}
    assert guests.demo("POST", "compute", f"/servers/{guest.id}/action", body).status_code == 202
    guests.demo.wait(guest.id, "ACTIVE")
    eventually(lambda: uptime(back) < before + 60, "it was not started again")
    assert back.ssh("cat /root/kept").stdout.split() == ["mine", "more"]
    for one in (back, watcher):
        one.delete()
    assert hosted.verify() == []
    assert [running_on(host) for host in hosted.hosts] == [[], []]
    for host in hosted.hosts if shared else []:
        unshare(host)
    for rule in rules:
        guests.forbid(rule)
