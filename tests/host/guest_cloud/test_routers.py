"""A guest behind a router, by the real client: reached by its floating IP, reaching the outside, gone without a trace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.eventually import eventually
from tests.host.guest_cloud.clouds import PROVIDER_BRIDGE
from tests.host.guest_cloud.guests import Guest, Guests
from tests.process.cloud.test_client import Client

pytestmark = pytest.mark.guest

OUTSIDE, NAMESPACE = "203.0.113.1", "kt-outside"
METADATA = "http://169.254.169.254/latest/meta-data"
PEER = f"""
import socket
with socket.create_server(("{OUTSIDE}", 8080)) as server:
    while True:
        taken, (address, _) = server.accept()
        with taken:
            taken.recv(4096)
            taken.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + address.encode())
"""
"""Answers each caller with the address that it came from."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def outside() -> Iterator[list[str]]:
    """The words before a command that runs on the external network, at its gateway's address."""
    inside = ["ip", "netns", "exec", NAMESPACE]
    ip("link", "add", PROVIDER_BRIDGE, "type", "bridge")
    ip("netns", "add", NAMESPACE)
    try:
        ip("link", "add", "kt-ex", "master", PROVIDER_BRIDGE, "type", "veth", "peer", "eth0", "netns", NAMESPACE)
        for device in (PROVIDER_BRIDGE, "kt-ex"):
            ip("link", "set", device, "up")
        for words in ("address add 203.0.113.1/24 dev eth0", "link set eth0 up", "link set lo up"):
            ip("-n", NAMESPACE, *words.split())
        with subprocess.Popen([*inside, "python3", "-c", PEER]) as peer:
            yield inside
            peer.kill()
    finally:
        ip("netns", "delete", NAMESPACE)
        ip("link", "delete", PROVIDER_BRIDGE)


def seen_as(guest: Guest) -> str:
    """The address that the outside sees the guest come from; "" where it does not get there."""
    return guest.ssh(f"timeout 5 wget -q -O - http://{OUTSIDE}:8080/").stdout.strip()


def becomes(wanted: object, look: Callable[[], object]) -> None:
    eventually(look, lambda: f"not {wanted!r} but {look()!r}", satisfies=lambda found: found == wanted)


def test_a_guest_behind_a_router(guests: Guests, outside: list[str]) -> None:
    admin, openstack = Client(guests.cloud, "admin"), Client(guests.cloud, "demo")
    as_json = ("-f", "json")
    admin(
        *["network", "create", "public", "--external", "--provider-network-type", "flat"],
        *["--provider-physical-network", "public"],
        *as_json,
    )
    admin(
        *["subnet", "create", "public", "--network", "public", "--subnet-range", "203.0.113.0/24"],
        *["--gateway", OUTSIDE, "--no-dhcp"],
        *as_json,
    )
    openstack("router", "create", "edge", "--external-gateway", "public", *as_json)
    openstack("router", "add", "subnet", "edge", openstack("network", "show", "guests", *as_json)["subnets"][0])
    gateway = openstack("router", "show", "edge", *as_json)["external_gateway_info"]["external_fixed_ips"][0]
    rules = [guests.allow("tcp", 22), guests.allow("icmp")]
    guest = guests.launch(name="routed")
    guest.wait_ssh()
    becomes(gateway["ip_address"], lambda: seen_as(guest))

    def reached(*command: str) -> str:
        return guests.run([*outside, *command], 20).stdout.strip()

    floating = openstack("floating", "ip", "create", "public", *as_json)["floating_ip_address"]
    openstack("server", "add", "floating", "ip", "routed", floating)
    words = guest.words(floating, "hostname")
    becomes("routed", lambda: reached(*words))
    assert "1 received" in reached("ping", "-c", "1", "-W", "2", floating)
    becomes(floating, lambda: seen_as(guest))
    becomes([guest.ip, floating], lambda: openstack("server", "show", "routed", *as_json)["addresses"]["guests"])
    becomes(floating, lambda: guest.ssh(f"timeout 10 wget -q -O - {METADATA}/public-ipv4").stdout.strip())
    assert guests.cloud.verify() == []

    openstack("server", "remove", "floating", "ip", "routed", floating)
    becomes("", lambda: reached(*words))
    becomes([guest.ip], lambda: openstack("server", "show", "routed", *as_json)["addresses"]["guests"])
    becomes(gateway["ip_address"], lambda: seen_as(guest))

    openstack("floating", "ip", "delete", floating)
    guest.delete()
    openstack("router", "remove", "subnet", "edge", openstack("network", "show", "guests", *as_json)["subnets"][0])
    openstack("router", "delete", "edge")
    admin("network", "delete", "public")
    for rule in rules:
        guests.forbid(rule)
    eventually(lambda: not routers_here())
    assert guests.cloud.verify() == []


def routers_here() -> list[str]:
    done = subprocess.run(["ip", "-j", "netns", "list"], check=True, capture_output=True, text=True)
    return [item["name"] for item in json.loads(done.stdout or "[]") if item["name"].startswith("qrouter-")]
