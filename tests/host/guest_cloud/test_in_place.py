"""Real guests that are changed where they are: interfaces come and go while they run, and their disks are made anew."""

from __future__ import annotations

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.guests import Guests
from tests.process.cloud.test_client import Client

pytestmark = pytest.mark.guest


def test_interfaces_come_and_go(guests: Guests) -> None:
    """By the real client; the guest sees the device, gets an address on it, and lets go of it."""
    openstack, rule = Client(guests.cloud, "demo"), guests.allow("tcp", 22)
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
    guest.wait_ssh(f"ip link set {device} up; timeout 20 udhcpc -n -q -i {device} || true")
    address = made["fixed_ips"][0]["ip_address"]
    assert address in guest.wait_ssh(f"ip -4 -o addr show dev {device}")
    openstack("server", "remove", "network", "growing", second)
    eventually(lambda: demo.ok("GET", "network", f"/ports/?device_id={guest.id}&network_id={second}")["ports"] == [])
    assert made["mac_addr"] not in guest.wait_ssh("cat /sys/class/net/*/address")
    assert guest.wait_ssh("cat /proc/sys/kernel/random/boot_id") == life
    assert guests.cloud.verify() == []
    guest.delete()
    guests.forbid(rule)


def test_a_rebuild_begins_anew(guests: Guests) -> None:
    openstack, rule = Client(guests.cloud, "demo"), guests.allow("tcp", 22)
    guest = guests.launch(name="before")
    guest.wait_ssh("echo old > /root/old && sync")
    image = guests.demo.image("again", guests.files.disk_qcow2.read_bytes(), disk_format="qcow2")
    openstack("server", "rebuild", "before", "--image", image, "--name", "after", "--wait")
    guests.demo.wait(guest.id, "ACTIVE", timeout=300)
    assert guest.wait_ssh("cat /root/old || echo gone").strip() == "gone"
    assert guest.console().count("cloudinit: source=") == 2  # the log goes on
    shown = guests.demo.server(guest.id)
    assert (shown["image"]["id"], shown["name"]) == (image, "after")
    guest.delete()
    guests.forbid(rule)
