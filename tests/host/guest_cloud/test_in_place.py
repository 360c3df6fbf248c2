"""Real guests that are changed where they are: interfaces come and go while they run, and their disks are made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.guests import Guests
from tests.process.cloud.test_client import Client

pytestmark = pytest.mark.guest


@pytest.fixture(autouse=True)
def reached(guests: Guests) -> Iterator[None]:
    """By ssh."""
    rule = guests.allow("tcp", 22)
    yield
    guests.forbid(rule)


def test_interfaces_come_and_go(guests: Guests) -> None:
    """By the real client; the guest sees the device, reaches the network by it, and lets go of it."""
    openstack = Client(guests.cloud, "demo")
    guest = guests.launch(name="growing")
    life = guest.wait_ssh("cat /proc/sys/kernel/random/boot_id")
    demo = guests.demo
    second = demo.network("second", "10.67.0.0/24")
    openstack("server", "add", "network", "growing", second)
    (made,) = [
        one
        for one in demo.ok("GET", "compute", f"/servers/{guest.id}/os-interface")["interfaceAttachments"]
        if one["net_id"] == second
    ]
    assert made["port_state"] == "ACTIVE"
    eventually(lambda: made["mac_addr"] in guest.wait_ssh("cat /sys/class/net/*/address"))
    device = guest.wait_ssh(f"grep -l {made['mac_addr']} /sys/class/net/*/address").split("/")[4]
    (dhcp,) = demo.ok("GET", "network", f"/ports?network_id={second}&device_owner=network:dhcp")["ports"]
    address, other = made["fixed_ips"][0]["ip_address"], dhcp["fixed_ips"][0]["ip_address"]
    guest.wait_ssh(f"ip link set {device} up && ip addr add {address}/24 dev {device}")
    eventually(lambda: guest.ssh(f"ping -c 1 -W 2 {other}").returncode == 0)
    openstack("server", "remove", "network", "growing", second)
    eventually(lambda: demo.ok("GET", "network", f"/ports/?device_id={guest.id}&network_id={second}")["ports"] == [])
    assert made["mac_addr"] not in guest.wait_ssh("cat /sys/class/net/*/address")
    assert guest.wait_ssh("cat /proc/sys/kernel/random/boot_id") == life
    assert guests.cloud.verify() == []
    guest.delete()


def test_a_rebuild_begins_anew(guests: Guests) -> None:
    openstack = Client(guests.cloud, "demo")
    guest = guests.launch(name="before")
    guest.wait_ssh("echo old > /root/old && sync")
    image = guests.demo.image("again", guests.files.disk_qcow2.read_bytes(), disk_format="qcow2")
    shown = openstack("server", "rebuild", "before", "--image", image, "--name", "after", "-f", "json")
    assert shown["adminPass"]
    guests.demo.wait(guest.id, "ACTIVE", timeout=300)
    assert guest.wait_ssh("cat /root/old || echo gone").strip() == "gone"
    assert guest.console().count("cloudinit: source=") == 2  # the log goes on
    shown = guests.demo.server(guest.id)
    assert (shown["image"]["id"], shown["name"]) == (image, "after")
    guest.delete()
