"""Real guests: launched through the API, personalised in three ways, filtered, restarted, removed without a trace."""

from __future__ import annotations

import base64
import subprocess

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.guests import Guest, Guests
from tests.process.cloud.browser import browsing
from tests.process.cloud.consoles import serial, vnc
from tests.process.cloud.test_client import Client

pytestmark = pytest.mark.guest
COLOURS = """() => {
  const canvas = document.querySelector("canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
}"""


@pytest.fixture(scope="module")
def guest(guests: Guests) -> Guest:
    script = base64.b64encode(b"#!/bin/sh\necho user-data ran > /run/user-data\n").decode()
    return guests.launch(name="plain", user_data=script)


def test_the_metadata_service_personalises(guest: Guest) -> None:
    found = guest.wait_console(r"cloudinit: source=(\w+) hostname=(\S+) keys=(\d)")
    assert found.groups() == ("metadata", "plain", "1")


def test_its_consoles_in_a_browser(guests: Guests, guest: Guest) -> None:
    """A name is typed at the login of the serial line, whose log goes on; the screen shows more than one colour."""
    guest.wait_console("login:")
    with browsing() as page:
        page.goto(serial(guests.demo, guest.id).replace("ws://", "http://"))
        page.get_by_text("Connected. Press Enter if nothing is shown.").wait_for()
        page.keyboard.type("\nroot\n")
        page.locator(".xterm-rows").get_by_text("Password:").first.wait_for()
        page.goto(vnc(guests.demo, guest.id))
        page.get_by_text("Connected to").wait_for()
        eventually(lambda: page.evaluate(COLOURS) > 1, "the screen is empty")
    guest.wait_console("Password:")


def test_security_group_rules_open_and_close(guests: Guests, guest: Guest) -> None:
    guest.wait_console("tinycloud ready|ready:")
    assert not guest.port_open()
    rule = guests.allow("tcp", 22)
    eventually(guest.port_open)
    assert guest.wait_ssh("cat /run/user-data").strip() == "user-data ran"
    guests.forbid(rule)
    eventually(lambda: not guest.port_open())


def test_a_spoofed_source_is_dropped(guests: Guests, guest: Guest) -> None:
    rule = guests.allow("tcp", 22)
    guest.wait_ssh()
    dhcp = guest.wait_ssh("ip route | sed -n 's/.*169.254.169.254 via \\([0-9.]*\\).*/\\1/p'").strip()
    assert dhcp.startswith("10.66.0.")
    spoofed = "10.66.0.250"
    guest.wait_ssh(f"ip addr add {spoofed}/32 dev eth0")
    assert guest.ssh(f"ping -c 2 -W 2 -I {guest.ip} {dhcp}").returncode == 0
    assert guest.ssh(f"ping -c 2 -W 2 -I {spoofed} {dhcp}").returncode != 0
    # the same address allowed to the port goes through: it was the filter that dropped it
    (port,) = guests.demo.ok("GET", "network", f"/ports?device_id={guest.id}")["ports"]
    pairs = {"port": {"allowed_address_pairs": [{"ip_address": spoofed}]}}
    guests.demo.ok("PUT", "network", f"/ports/{port['id']}", pairs)
    eventually(lambda: guest.ssh(f"ping -c 1 -W 2 -I {spoofed} {dhcp}").returncode == 0)
    guests.demo.ok("PUT", "network", f"/ports/{port['id']}", {"port": {"allowed_address_pairs": []}})
    eventually(lambda: guest.ssh(f"ping -c 1 -W 2 -I {spoofed} {dhcp}").returncode != 0)
    guests.forbid(rule)


def test_stop_start_and_reboots(guests: Guests, guest: Guest) -> None:
    rule = guests.allow("tcp", 22)
    guest.wait_ssh("echo kept > /root/kept && sync")
    guest.action({"os-stop": None}, "SHUTOFF")
    guest.action({"os-start": None}, "ACTIVE")
    assert guest.wait_ssh("cat /root/kept").strip() == "kept"
    guest.action({"reboot": {"type": "SOFT"}}, "ACTIVE")
    guest.wait_ssh()
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.wait_ssh("cat /root/kept").strip() == "kept"
    assert guest.console().count("cloudinit: source=") >= 4  # the log holds what earlier boots said
    guests.forbid(rule)


def test_pause_and_suspend(guests: Guests, guest: Guest) -> None:
    """The guest goes on in the life that it had; a hard reboot of a suspended one begins another."""
    rule, life = guests.allow("tcp", 22), "cat /proc/sys/kernel/random/boot_id"
    first = guest.wait_ssh(life)
    for away, status, back in (("pause", "PAUSED", "unpause"), ("suspend", "SUSPENDED", "resume")):
        guest.action({away: None}, status)
        assert not guest.port_open()
        guest.action({back: None}, "ACTIVE")
        assert guest.wait_ssh(life) == first
    guest.action({"suspend": None}, "SUSPENDED")
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert guest.wait_ssh(life) != first
    guests.forbid(rule)


def test_an_address_that_changed_reaches_the_guest(guests: Guests) -> None:
    """By the real client; shown by every view at once, by lease and metadata when the guest starts again."""
    openstack = Client(guests.cloud, "demo")
    rule = guests.allow("tcp", 22)
    guest = guests.launch(name="moved")
    guest.wait_ssh()
    (port,) = guests.demo.ok("GET", "network", f"/ports?device_id={guest.id}")["ports"]
    openstack("port", "set", "--no-fixed-ip", "--fixed-ip", "ip-address=10.66.0.200", port["id"])
    eventually(lambda: openstack("server", "show", "moved", "-f", "json")["addresses"] == {"guests": ["10.66.0.200"]})
    guest.ip = "10.66.0.200"
    guest.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    assert "10.66.0.200/24" in guest.wait_ssh("ip -4 -o addr show dev eth0")
    command = "timeout 10 wget -q -O - http://169.254.169.254/latest/meta-data/local-ipv4"
    eventually(lambda: guest.ssh(command).stdout.strip() == "10.66.0.200")
    guest.delete()
    guests.forbid(rule)


def test_a_config_drive_personalises(guests: Guests) -> None:
    guest = guests.launch(name="driven", config_drive=True)
    found = guest.wait_console(r"cloudinit: source=(\w+) hostname=(\S+) keys=(\d)")
    assert found.groups() == ("configdrive", "driven", "1")
    guest.delete()


def test_kernel_ramdisk_and_root_images(guests: Guests) -> None:
    files, demo = guests.files, guests.demo
    kernel = demo.image("k", files.kernel.read_bytes(), disk_format="aki", container_format="aki")
    ramdisk = demo.image("r", files.initrd.read_bytes(), disk_format="ari", container_format="ari")
    root = demo.image(
        "uec", files.root.read_bytes(), disk_format="ami", container_format="ami", kernel_id=kernel,
        ramdisk_id=ramdisk, os_command_line=f"root=/dev/vda {files.kernel_args}",
    )  # fmt: skip
    made = [guests.launch(root, name=f"uec-{n}") for n in range(3)]
    for n, guest in enumerate(made):
        assert guest.wait_console(r"cloudinit: source=(\w+) hostname=(\S+)").groups() == ("metadata", f"uec-{n}")
    first, second, third = made
    second.action({"os-stop": None}, "SHUTOFF")
    third.delete()  # what libvirt does with its files must not touch the others'
    rule = guests.allow("tcp", 22)
    first.action({"reboot": {"type": "HARD"}}, "ACTIVE")
    second.action({"os-start": None}, "ACTIVE")
    for guest in (first, second):
        guest.wait_ssh()
        guest.delete()
    guests.forbid(rule)


def test_an_image_chooses_bus_and_card(guests: Guests) -> None:
    """The hypervisor takes them; whether the guest has drivers is the image's business."""
    image = guests.demo.image(
        "other devices", guests.files.disk_qcow2.read_bytes(), disk_format="qcow2", hw_disk_bus="scsi",
        hw_vif_model="e1000", hw_video_model="cirrus", hw_watchdog_action="pause", hw_boot_menu="true",
    )  # fmt: skip
    guest = guests.launch(image, name="devices")
    (definition,) = [
        text
        for name in subprocess.run(
            ["virsh", "list", "--name"], capture_output=True, text=True, check=True
        ).stdout.split()
        if guest.id in (text := subprocess.run(["virsh", "dumpxml", name], capture_output=True, text=True).stdout)
    ]
    for part in ('bus="scsi"', '<model type="e1000"/>', '<model type="cirrus"', 'action="pause"'):
        assert part in definition.replace("'", '"'), definition
    guest.delete()


def test_two_guests_reach_each_other_only_by_rule(guests: Guests, guest: Guest) -> None:
    rules = [guests.allow("tcp", 22)]
    other = guests.launch(name="other")
    other.wait_ssh()
    assert guest.ssh(f"ping -c 1 -W 2 {other.ip}").returncode != 0
    rules.append(guests.allow("icmp"))
    eventually(lambda: guest.ssh(f"ping -c 1 -W 2 {other.ip}").returncode == 0)
    other.delete()
    for rule in rules:
        guests.forbid(rule)


def test_nothing_is_left(guests: Guests, guest: Guest) -> None:
    assert guests.cloud.verify() == []
    guest.delete()
    assert guests.cloud.verify() == []
    found = guests.cloud.api().ok("GET", "ops", "/verify")["counted"]
    assert (found["guests"], found["disks"], found["allocations"]) == (0, 0, 0)
