"""Real guests behind a router, one of them on another host than it: as the outside sees them, and as they see the outside, each
other and the metadata service."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kilonova.testing.hosts import VirtualHost
from tests.eventually import eventually
from tests.host.cluster_guest.conftest import OUTER_BRIDGE, HostedCloud, HostedGuests
from tests.host.dataplane.routing import OUTSIDE, World
from tests.host.guest_cloud.guests import Guest

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]
METADATA = "http://169.254.169.254/latest/meta-data"
PEER = f"""
import socket
with socket.create_server(("{OUTSIDE}", 8080)) as server:
    print("ready", flush=True)
    while True:
        taken, (address, _) = server.accept()
        with taken:
            taken.recv(4096)
            taken.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + address.encode())
"""
"""Answers each caller with the address that it came from."""


class Outside(World):
    """What is beyond the router's host."""

    def __init__(self, host: VirtualHost) -> None:
        super().__init__(host)
        self.bridge = OUTER_BRIDGE


class Routed:
    """A router of the guests' network, with an IPv4 and an IPv6 subnet, and a guest on each host: `far` is not where the
    router is."""

    def __init__(self, hosted: HostedCloud, guests: HostedGuests) -> None:
        self.hosted, self.guests, self.admin = hosted, guests, guests.demo
        self.public = self.make("network", {
            "name": "public", "router:external": True, "provider:network_type": "flat", "provider:physical_network": "public",
        })["id"]  # fmt: skip
        self.make(
            "subnet", {"network_id": self.public, "ip_version": 4, "cidr": "198.51.100.0/24", "enable_dhcp": False}
        )
        modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "ip_version": 6}
        self.v6 = self.make("subnet", {"network_id": guests.network, "cidr": "fd00:66::/64", **modes})["id"]
        worlds = {host.name: Outside(host) for host in hosted.hosts}
        for world in worlds.values():
            world.make_bridge()
        router = self.make("router", {"name": "edge", "external_gateway_info": {"network_id": self.public}})
        self.router: str = router["id"]
        agents = f"/routers/{self.router}/l3-agents"  # it waits for a host that has started
        (agent,) = eventually(lambda: self.admin.ok("GET", "network", agents)["agents"], "no host makes the router")
        self.host = hosted.cluster.hosts[agent["host"]]
        (other,) = [host for host in hosted.hosts if host is not self.host]
        self.outside = worlds.pop(self.host.name)
        self.outside.populate()
        self.outside.start(PEER)
        self.address = router["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
        self.subnets = [
            one["id"] for one in self.admin.ok("GET", "network", f"/subnets?network_id={guests.network}")["subnets"]
        ]
        for subnet in self.subnets:
            self._interface("add", subnet)
        self.rules = [guests.allow("tcp", 22)]
        asked = [guests.on(self.host, name="near"), guests.on(other, name="far")]
        self.near, self.far = map(self._guest, asked)

    def make(self, kind: str, values: dict[str, Any], under: str = "") -> dict[str, Any]:
        path = f"{under}/{kind.replace('_', '-')}s" if kind != "port_forwarding" else f"{under}/port_forwardings"
        return dict(self.admin.ok("POST", "network", path, {kind: values})[kind])

    def _interface(self, verb: str, subnet: str) -> None:
        self.admin.ok("PUT", "network", f"/routers/{self.router}/{verb}_router_interface", {"subnet_id": subnet})

    def _guest(self, server_id: str) -> Guest:
        guest = self.guests.guest(server_id)
        guest.ip = next(ip for ip in self.addresses(guest) if ":" not in ip)
        return guest

    def addresses(self, guest: Guest) -> list[str]:
        return [one["ip_address"] for one in self.port(guest)["fixed_ips"]]

    def port(self, guest: Guest) -> dict[str, Any]:
        (port,) = self.admin.ok("GET", "network", f"/ports?device_id={guest.id}")["ports"]
        return dict(port)

    def reached(self, *command: str) -> str:
        """What a command says that runs outside; one that waits for an answer that never comes is ended."""
        found = self.outside.words("ip", "netns", "exec", self.outside.namespace, "timeout", "8", *command)
        return self.guests.run(found, 20).stdout.strip()

    def name_at(self, address: str, port: int = 22) -> str:
        """The name of the guest that an ssh client outside finds there."""
        words = self.near.words(address, "hostname")
        return self.reached(words[0], "-p", str(port), *words[1:])

    def remove(self) -> None:
        for guest in (self.near, self.far):
            guest.delete()
        for subnet in self.subnets:
            self._interface("remove", subnet)
        floating = self.admin.ok("GET", "network", "/floatingips")["floatingips"]
        for path in (
            *(f"/floatingips/{one['id']}" for one in floating),
            f"/routers/{self.router}",
            f"/subnets/{self.v6}",
        ):
            self.admin.ok("DELETE", "network", path)
        self.admin.ok("DELETE", "network", f"/networks/{self.public}")
        for rule in self.rules:
            self.guests.forbid(rule)
        for host in self.hosted.hosts:
            Outside(host).unmake()
        self.outside.unmake()


@pytest.fixture(scope="module")
def routed(hosted: HostedCloud, guests: HostedGuests) -> Iterator[Routed]:
    made = Routed(hosted, guests)
    made.near.wait_ssh()
    made.far.wait_ssh()
    yield made
    made.remove()
    eventually(lambda: hosted.verify() == [], "something is left over")
    spaces = [host.run("ip", "netns", "list").stdout for host in hosted.hosts]
    assert not any("qrouter-" in found for found in spaces), spaces


def becomes(wanted: object, look: Callable[[], object]) -> None:
    eventually(look, lambda: f"not {wanted!r} but {look()!r}", satisfies=lambda found: found == wanted)


def seen_as(guest: Guest) -> str:
    """The address that the outside sees the guest come from; "" where it does not get there."""
    return guest.ssh(f"timeout 5 wget -q -O - http://{OUTSIDE}:8080/").stdout.strip()


def pings(guest: Guest, address: str) -> bool:
    return guest.ssh(f"ping -c 1 -W 1 {address}").returncode == 0


@contextlib.contextmanager
def rule(routed: Routed, protocol: str, **fields: Any) -> Iterator[None]:
    made = routed.guests.allow(protocol, **fields)
    yield
    routed.guests.forbid(made)


def test_a_floating_ip_and_both_directions_of_groups(routed: Routed) -> None:
    """To a guest on another host than its router."""
    far, guests = routed.far, routed.guests
    for guest in (routed.near, far):
        becomes(routed.address, lambda guest=guest: seen_as(guest))
    floating = routed.make("floatingip", {"floating_network_id": routed.public, "port_id": routed.port(far)["id"]})
    address = floating["floating_ip_address"]
    becomes("far", lambda: routed.name_at(address))
    becomes(address, lambda: seen_as(far))
    ping = ("ping", "-c", "1", "-W", "1", address)
    assert "1 received" not in routed.reached(*ping)
    with rule(routed, "icmp", remote_ip_prefix="198.51.100.0/24"):
        becomes(True, lambda: "1 received" in routed.reached(*ping))
    becomes(False, lambda: "1 received" in routed.reached(*ping))
    # without egress rules a guest begins nothing, and is reached as before
    inward = guests.new_group("inward")
    guests.allow("tcp", 22, security_group_id=inward)
    for one in routed.admin.ok("GET", "network", f"/security-group-rules?security_group_id={inward}&direction=egress")[
        "security_group_rules"
    ]:
        guests.forbid(one["id"])
    port = f"/ports/{routed.port(far)['id']}"
    routed.admin.ok("PUT", "network", port, {"port": {"security_groups": [inward]}})
    becomes("", lambda: seen_as(far))
    assert routed.name_at(address) == "far"
    routed.admin.ok("PUT", "network", port, {"port": {"security_groups": [guests.group]}})
    becomes(address, lambda: seen_as(far))
    routed.admin.ok("DELETE", "network", f"/security-groups/{inward}")
    assert routed.hosted.verify() == []
    routed.admin.ok("PUT", "network", f"/floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    becomes("", lambda: routed.name_at(address))
    becomes(routed.address, lambda: seen_as(far))


def test_port_forwardings(routed: Routed) -> None:
    """One address leads to guests on both hosts, by ports."""
    floating = routed.make("floatingip", {"floating_network_id": routed.public})
    address, path = floating["floating_ip_address"], f"/floatingips/{floating['id']}"
    made = {}
    for number, guest in ((2201, routed.near), (2202, routed.far)):
        values = {
            "protocol": "tcp", "external_port": number, "internal_port": 22, "internal_ip_address": guest.ip,
            "internal_port_id": routed.port(guest)["id"],
        }  # fmt: skip
        made[number] = routed.make("port_forwarding", values, path)["id"]
    becomes(["near", "far"], lambda: [routed.name_at(address, number) for number in made])
    assert routed.name_at(address) == ""
    change = {"port_forwarding": {"external_port": 2203}}
    routed.admin.ok("PUT", "network", f"{path}/port_forwardings/{made[2202]}", change)
    becomes(["near", "", "far"], lambda: [routed.name_at(address, number) for number in (2201, 2202, 2203)])
    assert routed.hosted.verify() == []
    routed.admin.ok("DELETE", "network", f"{path}/port_forwardings/{made[2201]}")
    becomes("", lambda: routed.name_at(address, 2201))
    assert seen_as(routed.far) == routed.address


def test_remote_groups_and_ipv6_inside_the_tunnel(routed: Routed) -> None:
    near, far = routed.near, routed.far
    v6 = {guest.id: next(ip for ip in routed.addresses(guest) if ":" in ip) for guest in (near, far)}
    ways = [(near, far.ip), (far, near.ip), (near, v6[far.id]), (far, v6[near.id])]
    becomes(True, lambda: pings(far, "fd00:66::1"))  # the router, whose advertisement gave the guest its address
    assert [pings(*way) for way in ways] == [False] * 4
    group = routed.guests.group
    with (
        rule(routed, "icmp", remote_group_id=group),
        rule(routed, "ipv6-icmp", remote_group_id=group, ethertype="IPv6"),
    ):
        becomes([True] * 4, lambda: [pings(*way) for way in ways])
    becomes([False] * 4, lambda: [pings(*way) for way in ways])


def test_metadata_by_the_router_on_another_host(routed: Routed) -> None:
    """A guest without DHCP's route to it asks its default gateway."""
    for guest in (routed.near, routed.far):
        guest.ssh("ip route del 169.254.169.254")
        assert "169.254" not in guest.ssh("ip route").stdout
        becomes(
            guest.ip, lambda guest=guest: guest.ssh(f"timeout 10 wget -q -O - {METADATA}/local-ipv4").stdout.strip()
        )
