"""A real guest gets a larger flavor on the other host, with its disk; and goes back to what it was."""

from __future__ import annotations

import pytest

from kilonova.testing.hosted import STATE
from kilonova.testing.hosts import VirtualHost
from tests.eventually import eventually
from tests.host.cluster_guest.conftest import HostedCloud, HostedGuests
from tests.host.cluster_guest.test_evacuate import running_on
from tests.host.guest_cloud.guests import Guest
from tests.process.scenarios.hosts import unexplained

pytestmark = [pytest.mark.guest, pytest.mark.timeout(500)]
LARGER = {"name": "larger", "ram": 320, "vcpus": 1, "disk": 2}
GIB = 1 << 30


def act(guests: HostedGuests, server: str, action: str, body: object = None) -> None:
    answer = guests.demo("POST", "compute", f"/servers/{server}/action", {action: body})
    assert answer.status_code < 300, answer.text


def resized(guests: HostedGuests, server: str, flavor: str, host: VirtualHost) -> Guest:
    """The guest on the other host, before it is confirmed."""
    act(guests, server, "resize", {"flavorRef": flavor})
    guests.demo.wait(server, "VERIFY_RESIZE")
    assert guests.demo.server(server)["OS-EXT-SRV-ATTR:host"] == host.name
    guest = guests.guest(server)
    guest.wait_ssh()
    return guest


def root_size(guest: Guest) -> int:
    return int(guest.ssh("cat /sys/block/vda/size").stdout) * 512


def test_resize_revert_and_confirm(hosted: HostedCloud, guests: HostedGuests) -> None:
    first, second = hosted.hosts
    rule, admin = guests.allow("tcp", 22), guests.demo
    flavor = admin.ok("POST", "compute", "/flavors", {"flavor": LARGER})["flavor"]["id"]
    guest = guests.guest(guests.on(first, name="grows"))
    guest.wait_ssh("echo mine > /root/kept && sync")
    small, address = root_size(guest), guest.ip
    assert small < 2 * GIB
    moved = resized(guests, guest.id, flavor, second)
    assert (root_size(moved), moved.ip) == (2 * GIB, address)
    assert moved.ssh("cat /root/kept").stdout.strip() == "mine"
    moved.ssh("echo lost > /root/kept && sync")
    assert [running_on(host) for host in hosted.hosts] == [[], [guest.id]]
    assert unexplained(admin) == []
    # what was written since is lost on the way back
    act(guests, guest.id, "revertResize")
    admin.wait(guest.id, "ACTIVE")
    back = guests.guest(guest.id)
    back.wait_ssh()
    assert (root_size(back), back.ssh("cat /root/kept").stdout.strip()) == (small, "mine")
    assert [running_on(host) for host in hosted.hosts] == [[guest.id], []]
    moved = resized(guests, guest.id, flavor, second)
    act(guests, guest.id, "confirmResize")
    admin.wait(guest.id, "ACTIVE")
    eventually(lambda: hosted.verify() == [], "something is left over")
    folders = first.run("ls", f"{STATE}/instances").stdout.split()
    assert [name for name in folders if name.startswith(guest.id)] == []
    assert moved.ssh("cat /root/kept").stdout.strip() == "mine"
    moved.delete()
    assert hosted.verify() == []
    assert [running_on(host) for host in hosted.hosts] == [[], []]
    guests.forbid(rule)
