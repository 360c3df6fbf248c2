"""What every part of a data plane must do, as guests see it: a test module inherits the suite of its part, and its fixture
`options` names the part. Guests are put on the bridge that `model.bridge_name` names."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
import subprocess
from functools import partial
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from kilonova.network.agent.metadata.proxy import MetadataUpstream
from kilonova.network.agent.metadata_signature import sign_instance
from kilonova.network.agent.model import AddressPair, FixedIP, NetworkModel, tap_name
from kilonova.network.agent.options import DataPlaneOptions
from tests.eventually import until
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import SOON, Guest, arp, group, icmp6, model, network, new_id, port, rule, udp4
from tests.host.dataplane.routing import DHCP_6, SOLICIT

do = asyncio.to_thread


def saved(instance: str) -> str:
    out = [
        subprocess.run([tool], capture_output=True, text=True, check=True).stdout
        for tool in ("iptables-save", "ip6tables-save")
    ]
    table = subprocess.run(["nft", "list", "table", "bridge", f"{instance}_l2"], capture_output=True, text=True)
    return table.stdout + "\n".join(line for text in out for line in text.splitlines() if f"{instance}-" in line)


SSH = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


class Client:
    """busybox's DHCP client: what it was given, by its own names."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "udhcpc.sh"
        self.script.write_text('#!/bin/sh\n[ "$1" = bound ] && env | grep -v ^PATH | sed "s/^/GOT /"\nexit 0\n')
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)

    def ask(self, guest: Guest, *options: str) -> dict[str, str]:
        out = guest.inside(
            "busybox",
            "udhcpc",
            "-i",
            "eth0",
            "-n",
            "-q",
            "-f",
            "-t",
            "3",
            "-T",
            "1",
            "-s",
            str(self.script),
            "-O",
            "mtu",
            "-O",
            "staticroutes",
            "-O",
            "dns",
            "-O",
            "0xf9",
            *(word for option in options for word in ("-O", option)),
            check=False,
        )
        return dict(re.findall(r"^GOT (\w+)=(.*)$", out, re.M))


SECRET = "shared"


def backend(seen: list[httpx.Request]) -> MetadataUpstream:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.path == "/latest/away":
            raise httpx.ConnectError("no")
        if request.url.path == "/latest/user-data":
            return httpx.Response(200, content=b"#!/bin/sh\n" * 3000, headers={"Content-Type": "text/x-sh"})
        return httpx.Response(200, json={"uuid": request.headers["X-Instance-ID"], "url": str(request.url)})

    return MetadataUpstream(
        client=httpx.AsyncClient(transport=httpx.MockTransport(handle)), base_url="http://metadata.test/", secret=SECRET
    )


def fetch(guest: Guest, path: str, *headers: str) -> tuple[int, str]:
    """Status and body, by a plain client in the guest."""
    script = (
        "import http.client, sys\n"
        "c = http.client.HTTPConnection('169.254.169.254', timeout=5)\n"
        "c.request('GET', sys.argv[1], headers=dict(h.split(': ') for h in sys.argv[2:]))\n"
        "r = c.getresponse(); print(r.status); print(r.read().decode())"
    )
    status, _, body = guest.inside("python3", "-c", script, path, *headers).partition("\n")
    return int(status), body.removesuffix("\n")


class L2Conformance:
    """Networks are joined, and taps reported."""

    async def test_taps_are_reported(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        one = port(net, 10)
        await plane.apply(model(net, (one,)))
        guest = lab.guest(one)
        tap = tap_name(one.id)
        await until(lambda: lab.taps == [(tap, True)])
        await do(subprocess.run, ["ip", "link", "set", tap, "nomaster"], check=True)
        await until(lambda: lab.taps == [(tap, True), (tap, False)])
        await do(subprocess.run, ["ip", "link", "set", tap, "master", f"brq{net.id[:11]}"], check=True)
        await until(lambda: lab.taps[2:] == [(tap, True)])
        again = await lab.plane()
        await until(lambda: lab.taps[3:] == [(tap, True)])
        await plane.close()
        await again.apply(model(net, (one,)))
        await again.unplug(one.id)
        await again.unplug(one.id)
        await until(lambda: lab.taps[4:] == [(tap, False)])
        guest.unplug()

    async def test_a_network_without_dhcp_has_no_namespace(self, lab: Lab) -> None:
        plane, base = await lab.plane(backend([])), network()
        bare = replace(base, subnets=(replace(base.subnets[0], dhcp_ip=None),))
        await plane.apply(model(base, ()))
        await plane.apply(model(bare, ()))
        assert {v.kind for v in await plane.leftovers()} == {"bridge"}
        await plane.apply(model(base, ()))
        assert {v.kind for v in await plane.leftovers()} == {"bridge", "namespace", "dnsmasq"}


class FirewallConformance:
    """What a guest may send and receive."""

    async def test_a_port_opens_by_a_rule_and_closes_with_it(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        closed, caller = group(), group()
        opened = replace(closed, rules=(*closed.rules, rule(**SSH)))
        ports = port(net, 10, caller), port(net, 11, closed)
        await plane.apply(model(net, ports, closed, caller))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        await do(two.listen)
        assert not await do(one.connects, "198.18.7.11", patience=SOON)
        await plane.apply(model(net, ports, opened, caller))
        assert await do(one.connects, "198.18.7.11")
        assert not await do(one.pings, "198.18.7.11", patience=SOON)

        held = one.start(
            "import socket, sys; s = socket.create_connection(('198.18.7.11', 22)); s.recv(5); print('ready', flush=True);"
            "sys.stdin.readline(); s.settimeout(1.5); s.sendall(b'x')\n"
            "import time; time.sleep(.7); o = s.getsockopt(6, 11, 104); print('unacked', int.from_bytes(o[24:28], 'little'))"
        )
        await plane.apply(model(net, ports, closed, caller))
        assert not await do(one.connects, "198.18.7.11", patience=SOON)
        assert (await do(held.communicate, "go\n"))[0].strip() == "unacked 1"

    async def test_a_held_connection_lives_on_when_other_rules_change(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        web = rule(protocol="tcp", port_range_min=80, port_range_max=80)
        icmp = rule(protocol="icmp")
        full = group(rule(**SSH), web, icmp)
        ports = port(net, 10, full), port(net, 11, full)
        await plane.apply(model(net, ports, full))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        await do(two.listen)
        held = one.start(
            "import socket, sys; s = socket.create_connection(('198.18.7.11', 22)); s.recv(5); print('ready', flush=True);"
            "sys.stdin.readline(); s.sendall(b'x')\n"
            "import time; time.sleep(.5); o = s.getsockopt(6, 11, 104); print('unacked', int.from_bytes(o[24:28], 'little'))"
        )
        less = replace(full, rules=tuple(r for r in full.rules if r not in (icmp, web)))
        await plane.apply(model(net, ports, less))
        assert (await do(held.communicate, "go\n"))[0].strip() == "unacked 0"
        assert not await do(one.pings, "198.18.7.11", patience=SOON)

    async def test_a_stateless_port_gets_no_answers_but_by_rules(self, lab: Lab) -> None:
        """Its peer, whose groups are stateful, does."""
        plane, net = await lab.plane(), network()
        bare = group(rule(**SSH, stateless=True))
        bare = replace(bare, rules=tuple(replace(one, stateless=True) for one in bare.rules))
        plain = group(rule(**SSH))
        ports = port(net, 10, bare), port(net, 11, plain)
        await plane.apply(model(net, ports, bare, plain))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        await do(one.listen)
        await do(two.listen)
        assert await do(two.connects, "198.18.7.10")
        assert not await do(one.connects, "198.18.7.11", patience=SOON)
        answers = replace(bare, rules=(*bare.rules, rule(protocol="tcp", stateless=True)))
        await plane.apply(model(net, ports, answers, plain))
        assert await do(one.connects, "198.18.7.11")

    async def test_both_ends_on_one_host_are_asked(self, lab: Lab) -> None:
        """The source's egress and the target's ingress: neither makes up for the other."""
        plane, net = await lab.plane(), network()
        mute = replace(group(), rules=(rule("egress", protocol="udp"),))
        deaf, ears = group(), group(rule(**SSH))
        ports = port(net, 10, mute), port(net, 11, ears), port(net, 12, deaf)
        await plane.apply(model(net, ports, mute, deaf, ears))
        silent, open_, closed = (lab.guest(p) for p in ports)
        await do(open_.listen)
        await do(closed.listen)
        assert not await do(silent.connects, "198.18.7.11", patience=SOON)
        assert await do(closed.connects, "198.18.7.11")
        assert not await do(open_.connects, "198.18.7.12", patience=SOON)

    async def test_a_remote_group_admits_its_members_only(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        clients = group(id=new_id(), members=("198.18.7.10", "fd00:7::a"))
        servers = group(
            rule(remote_group_id=clients.id, **SSH), rule(remote_group_id=clients.id, ethertype="IPv6", **SSH)
        )
        ports = port(net, 10, clients), port(net, 11, servers), port(net, 12, servers)
        await plane.apply(model(net, ports, clients, servers))
        member, server, stranger = (lab.guest(p) for p in ports)
        await do(server.listen, 22, "0.0.0.0")
        await do(server.listen, 22, "fd00:7::b")
        assert await do(member.connects, "198.18.7.11")
        assert await do(member.connects, "fd00:7::b")
        assert not await do(stranger.connects, "198.18.7.11", patience=SOON)
        assert not await do(stranger.connects, "fd00:7::b", patience=SOON)
        await plane.apply(model(net, ports, replace(clients, members=("198.18.7.12",)), servers))
        assert not await do(member.connects, "198.18.7.11", patience=SOON)
        assert await do(stranger.connects, "198.18.7.11")

    async def test_ipv6_is_closed_by_default_but_neighbours_are_found(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        closed, opened = group(), group(rule(protocol="icmpv6", ethertype="IPv6"))
        ports = port(net, 10, closed), port(net, 11, closed), port(net, 12, opened)
        await plane.apply(model(net, ports, closed, opened))
        one, two, three = (lab.guest(p) for p in ports)
        await do(two.listen, 22, "fd00:7::b")
        assert not await do(one.pings, "fd00:7::b", patience=SOON)
        assert not await do(one.connects, "fd00:7::b", patience=SOON)
        assert await do(one.pings, "fd00:7::c")
        assert "fa:16:3e:00:00:0b" in await do(one.inside, "ip", "-6", "neigh")
        assert await do(three.pings, "fe80::f816:3eff:fe00:a", "-I", "eth0", patience=SOON) is False

    async def test_forged_frames_stay_in_the_guest(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        everything = group(rule(), rule(ethertype="IPv6"))
        pair = AddressPair(ip_address="198.18.7.100")
        ports = port(net, 10, everything, allowed_address_pairs=(pair,)), port(net, 11, everything)
        await plane.apply(model(net, ports, everything))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        mac, other = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:99"
        word = b"kilonova".hex()
        fe80, all_nodes = "fe80::f816:3eff:fe00:a", "ff02::1"

        def ra(kind: int, src: str = fe80, body: bytes = b"") -> str:
            return icmp6(mac, src, all_nodes, kind, body)

        def na(target: bytes) -> str:
            return ra(136, body=b"\x20\0\0\0" + target + b"\2\1" + bytes.fromhex(mac.replace(":", "")))

        own6, foreign6 = bytes.fromhex("fd00000700000000000000000000000a"), bytes.fromhex("fd000007" + "00" * 11 + "0b")
        inner = udp4(mac, "198.18.7.10", 1000, "198.18.7.11", 2000)
        tagged = inner[:24] + "81000007" + inner[24:]
        cases = {
            "own address": (inner, word, True),
            "allowed pair": (udp4(mac, "198.18.7.100", 1000, "198.18.7.11", 2000), word, True),
            "foreign MAC": (udp4(other, "198.18.7.10", 1000, "198.18.7.11", 2000), word, False),
            "foreign IP": (udp4(mac, "198.18.7.12", 1000, "198.18.7.11", 2000), word, False),
            "own ARP": (arp(mac, mac, "198.18.7.10", "198.18.7.99"), "c612070a", True),
            "ARP for a foreign IP": (arp(mac, mac, "198.18.7.1", "198.18.7.99"), mac + "c6120701", False),
            "ARP answer for a foreign IP": (arp(mac, mac, "198.18.7.1", "198.18.7.11", 2), mac + "c6120701", False),
            "ARP with a foreign MAC inside": (arp(mac, other, "198.18.7.10", "198.18.7.99"), other + "c612070a", False),
            "DHCP server's answer": (udp4(mac, "198.18.7.10", 67, "255.255.255.255", 68), word, False),
            "router advertisement": (ra(134, body=b"kilonova" + bytes(4)), word, False),
            "own neighbour": (na(own6), own6.hex() + "0201", True),
            "foreign neighbour": (na(foreign6), foreign6.hex() + "0201", False),
            "foreign link-local": (ra(128, "fe80::1", b"kilonova"), word, False),
            "VLAN tag": (tagged, word, False),
            "unknown ethertype": ("ff" * 6 + mac + "88b5" + word + "00" * 40, word, False),
            "spanning tree": ("0180c2000000" + mac + "0026424203" + word + "00" * 40, word, False),
        }
        for name, (frame, needle, arrives) in cases.items():
            assert await do(two.sees, needle, one, frame) is arrives, name
        await plane.apply(model(net, (replace(ports[0], port_security_enabled=False), ports[1]), everything))
        for name, (frame, needle, _arrives) in cases.items():
            assert await do(two.sees, needle, one, frame), f"{name}: not even without port security"

    async def test_a_forged_source_cannot_reach_by_the_usual_tools(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        everything = group(rule())
        ports = port(net, 10, everything), port(net, 11, everything)
        await plane.apply(model(net, ports, everything))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        assert await do(one.pings, "198.18.7.11")
        await do(one.inside, "ip", "addr", "add", "198.18.7.66/24", "dev", "eth0")
        assert not await do(one.pings, "198.18.7.11", "-I", "198.18.7.66", patience=SOON)
        await do(one.inside, "arping", "-c", "1", "-U", "-I", "eth0", "198.18.7.66", check=False)
        assert "198.18.7.66" not in await do(two.inside, "ip", "neigh")
        await do(one.inside, "ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:66")
        assert not await do(one.pings, "198.18.7.11", patience=SOON)

    async def test_port_security_off_and_admin_down(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        closed = group()
        free, other = port(net, 10, port_security_enabled=False), port(net, 11, closed)
        await plane.apply(model(net, (free, other), closed))
        one, two = lab.guest(free), lab.guest(other)
        assert await do(two.pings, "198.18.7.10")
        assert not await do(one.pings, "198.18.7.11", patience=SOON)
        assert (
            await do(two.sees, b"kilonova".hex(), one, udp4("fa:16:3e:00:00:77", "198.18.7.77", 1, "198.18.7.11", 2))
            is False
        )  # two's ingress
        await plane.apply(model(net, (replace(free, admin_state_up=False), other), closed))
        assert not await do(two.pings, "198.18.7.10", patience=SOON)
        assert not await do(
            one.sees, "fa163e00000b0806", two,  # what it sends itself, it sees too
            arp("fa:16:3e:00:00:0b", "fa:16:3e:00:00:0b", "198.18.7.11", "198.18.7.10"),
        )  # fmt: skip

    async def test_an_unknown_tap_passes_no_ip(self, lab: Lab) -> None:
        plane, net = await lab.plane(), network()
        everything = group(rule(), rule(ethertype="IPv6"))
        known, unknown = port(net, 10, everything), port(net, 11, everything)
        await plane.apply(model(net, (known,), everything))
        one, two = lab.guest(known), lab.guest(unknown)
        assert not await do(two.pings, "198.18.7.10", patience=SOON)
        assert not await do(two.pings, "198.18.7.2", patience=SOON)
        assert not await do(one.pings, "198.18.7.11", patience=SOON)
        assert not await do(two.pings, "fd00:7::a", patience=SOON)
        await plane.apply(model(net, (known, unknown), everything))
        assert await do(two.pings, "198.18.7.10")
        await plane.apply(model(net, (known,), everything))
        assert not await do(two.pings, "198.18.7.10", patience=SOON)

    async def test_networks_with_the_same_addresses_do_not_mix(self, lab: Lab) -> None:
        plane = await lab.plane()
        opened, closed = group(rule(**SSH)), group()
        first, second = network(), network()
        pairs = [(port(n, 10, g), port(n, 11, g)) for n, g in ((first, opened), (second, closed))]
        state = model(first, pairs[0], opened, closed)
        await plane.apply(replace(state, networks=(*state.networks, replace(second, ports=pairs[1]))))
        guests = [[lab.guest(p) for p in pair] for pair in pairs]
        for pair in guests:
            await do(pair[1].listen)
        assert await do(guests[0][0].connects, "198.18.7.11")
        assert not await do(guests[1][0].connects, "198.18.7.11", patience=SOON)

    async def test_a_guest_does_not_reach_the_host_over_its_bridge(self, lab: Lab) -> None:
        """With no egress rule; with one, the host's own INPUT decides."""
        plane, net = await lab.plane(), network()
        mute, free = replace(group(), rules=()), group()
        ports = port(net, 10, mute), port(net, 11, free)
        await plane.apply(model(net, ports, mute, free))
        one, two = lab.guest(ports[0]), lab.guest(ports[1])
        bridge = f"brq{net.id[:11]}"
        await do(subprocess.run, ["ip", "addr", "add", "198.18.7.250/24", "dev", bridge], check=True)
        assert not await do(one.pings, "198.18.7.250", patience=SOON)
        assert await do(two.pings, "198.18.7.250")


class DhcpConformance:
    """Guests get their own address and what goes with it; strangers get none."""

    @pytest.fixture
    def client(self, options: DataPlaneOptions) -> Client:
        return Client(Path(options.state_dir))

    async def test_a_guest_gets_its_lease_and_options(self, lab: Lab, client: Client) -> None:
        plane, base = await lab.plane(), network()
        v4 = replace(base.subnets[0], host_routes=(("198.18.9.0/24", "198.18.7.9"),))
        net, closed = replace(base, subnets=(v4, base.subnets[1])), group()
        one, stranger = port(net, 10, closed), port(net, 11, closed)
        await plane.apply(model(net, (one, replace(stranger, fixed_ips=())), closed))
        guest = lab.guest(one, static=False)
        got = await do(client.ask, guest)
        assert got["ip"] == "198.18.7.10"
        assert (got["router"], got["dns"], got["mtu"]) == ("198.18.7.1", "198.18.7.53", "1450")
        assert (got["serverid"], got["subnet"], got["lease"]) == ("198.18.7.2", "255.255.255.0", "86400")
        assert got["staticroutes"].split() == [
            "169.254.169.254/32",
            "198.18.7.2",
            "198.18.9.0/24",
            "198.18.7.9",
            "0.0.0.0/0",
            "198.18.7.1",
        ]
        assert await do(client.ask, lab.guest(stranger, static=False)) == {}

    async def test_an_address_goes_to_another_guest(self, lab: Lab, client: Client) -> None:
        """Its first holder never gave the lease back."""
        plane, net = await lab.plane(), network()
        first = port(net, 10)
        await plane.apply(model(net, (first,)))
        guest = lab.guest(first, static=False)
        assert (await do(client.ask, guest))["ip"] == "198.18.7.10"
        assert [v.name for v in await plane.leftovers() if v.kind == "lease"] == ["198.18.7.10 fa:16:3e:00:00:0a"]
        assert await plane.stale(model(net, (first,))) == []
        (old,) = [v for v in await plane.stale(model(net, (port(net, 11),))) if v.kind == "lease"]
        assert (old.name, old.owner, old.stale) == ("198.18.7.10 fa:16:3e:00:00:0a", net.id, True)
        await plane.apply(model(net, ()))
        guest.unplug()
        assert [v for v in await plane.leftovers() if v.kind in ("lease", "chain", "tap")] == []
        second = port(net, 10, mac_address="fa:16:3e:00:00:bb", hostname="second")
        await plane.apply(model(net, (second,)))
        assert (await do(client.ask, lab.guest(second, static=False)))["ip"] == "198.18.7.10"

    async def test_a_guest_gets_its_ipv6_address(self, lab: Lab) -> None:
        plane, net = await lab.plane(), ipv6("dhcpv6-stateful")
        one, stranger = port(net, 10), replace(port(net, 11), fixed_ips=())
        await plane.apply(model(net, (one, stranger)))
        guest = lab.guest(one, static=False)
        answer = await do(asked_6, guest, "solicit")
        assert socket.inet_pton(socket.AF_INET6, "fd00:7::a").hex() in answer
        assert socket.inet_pton(socket.AF_INET6, "fd00:7::53").hex() in answer
        assert await do(asked_6, lab.guest(stranger, static=False), "solicit") == "nothing"

    async def test_a_guest_has_an_address_of_each_ipv6_subnet(self, lab: Lab) -> None:
        plane, net = await lab.plane(), ipv6("dhcpv6-stateful")
        other = replace(net.subnets[1], id=new_id(), cidr="fd00:8::/64", dhcp_ip="fd00:8::2")
        net = replace(net, subnets=(*net.subnets, other))
        one = port(net, 10)
        one = replace(one, fixed_ips=(*one.fixed_ips, FixedIP(subnet_id=other.id, ip_address="fd00:8::a")))
        await plane.apply(model(net, (one,)))
        answer = await do(asked_6, lab.guest(one, static=False), "solicit")
        for address in ("fd00:7::a", "fd00:8::a"):
            assert socket.inet_pton(socket.AF_INET6, address).hex() in answer, address

    async def test_a_guest_that_made_its_address_gets_the_rest(self, lab: Lab) -> None:
        """And the namespace of DHCP is no router: only routers advertise."""
        plane, net = await lab.plane(), ipv6("dhcpv6-stateless")
        one = port(net, 10)
        await plane.apply(model(net, (one,)))
        guest = lab.guest(one, static=False)
        assert socket.inet_pton(socket.AF_INET6, "fd00:7::53").hex() in await do(asked_6, guest, "information")
        assert "default" not in await do(guest.inside, "ip", "-6", "route")
        with guest.sniffing() as seen:
            assert await do(partial(guest.inside, "timeout", "3", "python3", "-c", SOLICIT, check=False)) == ""
        assert [
            frame for frame in seen if frame[24:28] == "86dd" and frame[40:42] == "3a" and frame[108:110] == "86"
        ] == []


def ipv6(mode: str) -> NetworkModel:
    base = network()
    words = {"enable_dhcp": True, "dhcp_ip": "fd00:7::2", "dns_nameservers": ("fd00:7::53",), "ipv6_address_mode": mode}
    return replace(base, subnets=(base.subnets[0], replace(base.subnets[1], **words)))


def asked_6(guest: Guest, kind: str) -> str:
    """What DHCPv6 answers (hex), or "nothing"."""
    return guest.inside("python3", "-c", DHCP_6, "3", kind).strip()


class MetadataConformance:
    """Guests' requests are passed on under their own names alone."""

    async def test_metadata_finds_the_guest_that_asks(self, lab: Lab) -> None:
        seen: list[httpx.Request] = []
        plane, net, closed = await lab.plane(backend(seen)), network(), group()
        one, two = port(net, 10, closed), port(net, 11, closed)
        unknown = port(net, 12, closed, device_id="")
        await plane.apply(model(net, (one, two, unknown), closed))
        guest = lab.guest(one)
        status, body = await do(
            fetch,
            guest,
            "/openstack/latest/meta_data.json?x=1",
            "x-Instance-id: forged",
            "X-Forwarded-For: 1.2.3.4",
            "X-Tenant-ID: forged",
            "X-Instance-ID-Signature: forged",
            "X-Auth-Token: forged",
            "Accept: application/json",
        )
        assert status == 200
        assert json.loads(body) == {
            "uuid": one.device_id,
            "url": "http://metadata.test/openstack/latest/meta_data.json?x=1",
        }
        headers = seen[0].headers
        assert headers.get_list("X-Instance-ID") == [one.device_id]
        assert headers.get_list("X-Tenant-ID") == [one.project_id]
        assert headers.get_list("X-Forwarded-For") == ["198.18.7.10"]
        assert headers.get_list("X-Instance-ID-Signature") == [sign_instance(SECRET, one.device_id, one.project_id)]
        assert headers["Accept"] == "application/json"
        assert "X-Auth-Token" not in headers
        assert (await do(fetch, guest, "/latest/user-data"))[1] == "#!/bin/sh\n" * 3000
        assert (await do(fetch, lab.guest(two), "/"))[1].startswith('{"uuid":"' + two.device_id)
        assert (await do(fetch, guest, "/latest/away"))[0] == 503
        assert (await do(fetch, lab.guest(unknown), "/"))[0] == 404
        assert await do(guest.inside, "timeout", "5", "busybox", "wget", "-qO-", "http://169.254.169.254/")

    @pytest.mark.parametrize(
        ("words", "status"),
        [
            ("GET http://other/ HTTP/1.1\r\n\r\n", "400"),
            ("POST /../identity/v2.0/tokens HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "400"),
            ("nonsense\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nX: " + "y" * 40000 + "\r\n\r\n", "431"),
            ("POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + "y" * 200000, "413"),
            ("GET / HTTP/1.0\r\n\r\n", "200"),
            ("HEAD / HTTP/1.1\r\n\r\n", "200"),
        ],
    )
    async def test_metadata_limits(self, lab: Lab, words: str, status: str) -> None:
        seen: list[httpx.Request] = []
        plane, net, closed = await lab.plane(backend(seen)), network(), group()
        one = port(net, 10, closed)
        await plane.apply(model(net, (one,), closed))
        script = (
            "import socket, sys\ns = socket.create_connection(('169.254.169.254', 80), timeout=5)\n"
            "try:\n s.sendall(sys.stdin.buffer.read())\nexcept OSError: pass\nprint(s.recv(999).decode())"
        )
        out = await do(lab.guest(one).inside, "python3", "-c", script, text=words)
        assert out.split()[1] == status
