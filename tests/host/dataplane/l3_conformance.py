"""What every L3 part must do, as guests and the outside world see it: a test module inherits the suites, imports the fixtures,
and its fixture `chosen` names the part."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from kilonova.network.agent.model import (
    AdvertisementModel,
    HostModel,
    MeterModel,
    MeterRuleModel,
    bridge_name,
    router_namespace,
)
from kilonova.network.agent.options import DataPlaneOptions
from tests.eventually import until
from tests.host.dataplane.conformance import SSH, backend, fetch
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import SOON, group, new_id, rule, udp4
from tests.host.dataplane.routing import (
    HOLD,
    OUTSIDE,
    OUTSIDE_6,
    Lan,
    Setting,
    World,
    eui64,
    external,
    floating,
    forwarding,
    gateway,
    guest_port,
    in_router,
    private,
    router,
    state,
)

do = asyncio.to_thread


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    try:
        yield world.make()
    finally:
        world.unmake()


@pytest.fixture
def options(world: World, chosen: dict[str, str]) -> Iterator[DataPlaneOptions]:
    folder = Path(tempfile.mkdtemp(prefix="kilonova-", dir="/tmp"))
    folder.chmod(0o755)
    instance = "t" + secrets.token_hex(2)[:3]
    yield DataPlaneOptions(state_dir=str(folder), instance=instance, bridge_mappings={"public": world.bridge}, **chosen)
    shutil.rmtree(folder)


@pytest.fixture
async def setting(world: World, lab: Lab) -> AsyncIterator[Setting]:
    setting = Setting(lab, world)
    yield setting
    for guest in lab.guests:
        guest.unplug()
    if lab.planes:
        await lab.planes[-1].close(remove=True)
    assert setting.leftovers() == []


OPEN = group(rule(), rule(ethertype="IPv6"))


class NatConformance:
    """Guests reach the outside, and floating IPs and forwardings lead in."""

    async def test_guests_without_a_floating_ip_leave_with_the_routers_address(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one = guest_port(net, 11, OPEN)
        lan = Lan(net, one)
        made = router(lan.interface(), gateway=gateway(ext.net))
        assert await setting.apply(plane, state((ext, lan), (made,), OPEN)) == []
        guest = setting.peer(one, "10.0.1.1")
        setting.world.serve(80)
        assert await do(guest.asks, OUTSIDE, 80) == "198.51.100.10"
        assert await do(guest.pings, OUTSIDE)
        guest.serve()
        await do(setting.world.inside, "ip", "route", "add", "10.0.1.0/24", "via", "198.51.100.10")
        assert not await do(setting.world.reaches, "10.0.1.11")
        without = replace(made, gateway=replace(made.gateway, enable_snat=False))  # type: ignore[type-var]
        assert await setting.apply(plane, state((ext, lan), (without,), OPEN)) == []
        assert await do(guest.asks, OUTSIDE, 80) == "10.0.1.11"
        assert await do(setting.world.asks, "10.0.1.11") == OUTSIDE

    async def test_networks_of_the_outsides_address_scope_are_not_translated(self, setting: Setting) -> None:
        """They are reached from outside by their own addresses; a network of the same router that is in no scope is not."""
        plane, ext, net, other = await setting.lab.plane(), Lan(external()), private(1), private(2)
        one, two = guest_port(net, 11, OPEN), guest_port(other, 12, OPEN)
        lan, plain = Lan(net, one), Lan(other, two)
        way = replace(gateway(ext.net), same_scope=("10.0.1.0/24",))
        made = router(lan.interface(), plain.interface(), gateway=way)
        assert await setting.apply(plane, state((ext, lan, plain), (made,), OPEN)) == []
        inside, translated = setting.peer(one, "10.0.1.1"), setting.peer(two, "10.0.2.1")
        for guest in (inside, translated):
            guest.serve()
        for prefix in ("10.0.1.0/24", "10.0.2.0/24"):
            await do(setting.world.inside, "ip", "route", "add", prefix, "via", "198.51.100.10")
        setting.world.serve(80)
        assert await do(inside.asks, OUTSIDE, 80) == "10.0.1.11"
        assert await do(translated.asks, OUTSIDE, 80) == "198.51.100.10"
        assert await do(setting.world.asks, "10.0.1.11") == OUTSIDE
        assert not await do(setting.world.reaches, "10.0.2.12")
        without = replace(made, gateway=replace(way, same_scope=()))
        assert await setting.apply(plane, state((ext, lan, plain), (without,), OPEN)) == []
        assert await do(inside.asks, OUTSIDE, 80) == "198.51.100.10"

    async def test_a_floating_ip_leads_in_and_out(self, setting: Setting) -> None:
        """What leads in is filtered by the guest's groups, which see the real source."""
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        ssh = group(rule(**SSH, remote_ip_prefix=f"{OUTSIDE}/32"))
        one = guest_port(net, 11, ssh)
        lan = Lan(net, one)
        made = router(lan.interface(), gateway=gateway(ext.net), floating_ips=(floating(20, one),))
        assert await setting.apply(plane, state((ext, lan), (made,), ssh)) == []
        guest, world = setting.peer(one, "10.0.1.1"), setting.world
        guest.serve(22, 80)
        world.serve(80)
        assert await do(world.asks, "198.51.100.20", 22) == OUTSIDE
        assert await do(guest.asks, OUTSIDE, 80) == "198.51.100.20"
        assert not await do(world.reaches, "198.51.100.20", 80)
        await do(world.inside, "ip", "addr", "add", "198.51.100.77/24", "dev", "eth0")
        await do(world.inside, "ip", "route", "add", "198.51.100.20", "dev", "eth0", "src", "198.51.100.77")
        assert not await do(world.reaches, "198.51.100.20", 22)

    async def test_floating_ips_of_one_router_reach_each_other(self, setting: Setting) -> None:
        """Also of one network, a guest's own, and from guests that have none."""
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one, two, bare = (guest_port(net, number, OPEN) for number in (11, 12, 13))
        lan = Lan(net, one, two, bare)
        ips = (floating(20, one), floating(21, two))
        made = router(lan.interface(), gateway=gateway(ext.net), floating_ips=ips)
        assert await setting.apply(plane, state((ext, lan), (made,), OPEN)) == []
        first, second, third = (setting.peer(port, "10.0.1.1") for port in (one, two, bare))
        first.serve()
        second.serve()
        assert await do(first.asks, "198.51.100.21") == "198.51.100.20"
        assert await do(first.asks, "198.51.100.20") == "198.51.100.20"
        assert await do(third.asks, "198.51.100.20") == "198.51.100.10"
        assert await do(third.asks, "10.0.1.11") == "10.0.1.13"
        without = replace(made, gateway=replace(made.gateway, enable_snat=False))  # type: ignore[type-var]
        assert await setting.apply(plane, state((ext, lan), (without,), OPEN)) == []
        assert await do(third.asks, "198.51.100.21") == "198.51.100.10"

    async def test_port_forwardings(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one, two = guest_port(net, 11, OPEN), guest_port(net, 12, OPEN)
        lan = Lan(net, one, two)
        shared = floating(
            20, None,
            forwarding((8022, 8022), one, (22, 22)), forwarding((9000, 9002), two, (7000, 7002)),
            forwarding((9010, 9012), two, (7001, 7001)),
        )  # fmt: skip
        made = router(lan.interface(), gateway=gateway(ext.net), floating_ips=(shared,))
        assert await setting.apply(plane, state((ext, lan), (made,), OPEN)) == []
        first, second, world = setting.peer(one, "10.0.1.1"), setting.peer(two, "10.0.1.1"), setting.world
        first.serve(22, 8022)
        second.serve(7000, 7001, 7002)
        world.serve(80)
        assert await do(world.answer, "198.51.100.20", 8022) == f"{OUTSIDE} 22"
        assert await do(world.answer, "198.51.100.20", 9000) == f"{OUTSIDE} 7000"
        assert await do(world.answer, "198.51.100.20", 9002) == f"{OUTSIDE} 7002"
        assert await do(world.answer, "198.51.100.20", 9012) == f"{OUTSIDE} 7001"
        assert await do(first.answer, "198.51.100.20", 9001) == "198.51.100.10 7001"
        assert not await do(world.reaches, "198.51.100.20", 22)
        assert await do(first.asks, OUTSIDE, 80) == "198.51.100.10"

    async def test_only_connections_of_what_changed_are_cut(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one, two = guest_port(net, 11, OPEN), guest_port(net, 12, OPEN)
        lan = Lan(net, one, two)
        ports = floating(22, None, forwarding((9000, 9009), one, (22, 22)), forwarding((9010, 9019), one, (22, 22)))
        ips = (floating(20, one), floating(21, two), ports)
        made = router(lan.interface(), gateway=gateway(ext.net), floating_ips=ips)
        await setting.apply(plane, state((ext, lan), (made,), OPEN))
        first, second, world = setting.peer(one, "10.0.1.1"), setting.peer(two, "10.0.1.1"), setting.world
        first.serve()
        second.serve()
        world.serve(80)
        for who, address, number in (
            (world, "198.51.100.20", 22), (world, "198.51.100.21", 22), (world, "198.51.100.22", 9003),
            (world, "198.51.100.22", 9013), (first, OUTSIDE, 80), (second, OUTSIDE, 80),
        ):  # fmt: skip
            await do(who.start, HOLD, address, str(number))

        def held() -> set[str]:
            """The connections that are there, by source, destination and port."""
            lines = in_router(made.id, "conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED").splitlines()
            found = (re.search(r"src=(\S+) dst=(\S+) sport=\S+ dport=(\S+)", line) for line in lines)
            return {" ".join(one.groups()) for one in found if one}

        kept = {
            f"{OUTSIDE} 198.51.100.21 22", f"{OUTSIDE} 198.51.100.22 9013", f"10.0.1.12 {OUTSIDE} 80"
        }  # fmt: skip
        gone = {f"{OUTSIDE} 198.51.100.20 22", f"{OUTSIDE} 198.51.100.22 9003", f"10.0.1.11 {OUTSIDE} 80"}
        assert await do(held) == kept | gone
        fewer = (ips[1], replace(ports, port_forwardings=ports.port_forwardings[1:]))
        assert await setting.apply(plane, state((ext, lan), (replace(made, floating_ips=fewer),), OPEN)) == []
        assert await do(held) == kept
        assert not await do(world.reaches, "198.51.100.20")
        assert await do(world.asks, "198.51.100.21") == OUTSIDE


class RoutingConformance:
    """What passes between a router's networks, and what does not."""

    async def test_networks_of_a_router_reach_each_other_by_their_groups(self, setting: Setting) -> None:
        """Groups see the guests' own addresses; a forged source goes nowhere."""
        plane, net, other = await setting.lab.plane(), private(1), private(2)
        only = group(rule(remote_ip_prefix="10.0.1.11/32"))
        one, two, far = guest_port(net, 11, OPEN), guest_port(net, 12, OPEN), guest_port(other, 11, only)
        lans = Lan(net, one, two), Lan(other, far)
        made = router(lans[0].interface(), lans[1].interface())
        assert await setting.apply(plane, state(lans, (made,), OPEN, only)) == []
        first, second, third = (
            setting.peer(one, "10.0.1.1"),
            setting.peer(two, "10.0.1.1"),
            setting.peer(far, "10.0.2.1"),
        )
        third.serve()
        assert await do(first.asks, "10.0.2.11") == "10.0.1.11"
        assert not await do(second.reaches, "10.0.2.11")
        macs = {"mac": two.mac_address, "dmac": made.interfaces[0].mac_address.replace(":", "")}
        wrong, right = (
            udp4(macs["mac"], ip, 9, "10.0.2.11", 9, b"K1" * 9, macs["dmac"]) for ip in ("10.0.1.11", "10.0.1.12")
        )
        assert not await do(third.sees, (b"K1" * 9).hex(), second, wrong)
        everything = replace(only, rules=(*only.rules, rule()))
        assert await setting.apply(plane, state(lans, (made,), OPEN, everything)) == []
        assert not await do(third.sees, (b"K1" * 9).hex(), second, wrong)
        assert await do(third.sees, (b"K1" * 9).hex(), second, right)
        assert await do(third.pings, "10.0.1.12")

    async def test_projects_with_equal_networks_never_meet(self, setting: Setting) -> None:
        """But by floating IPs, from router to router."""
        plane, ext = await setting.lab.plane(), Lan(external())
        nets = private(1), private(1)
        ports = [guest_port(net, 11, OPEN) for net in nets]
        theirs = guest_port(nets[1], 12, OPEN)
        lans = Lan(nets[0], ports[0]), Lan(nets[1], ports[1], theirs)
        routers = [
            router(lan.interface(), gateway=gateway(ext.net, 10 + n), floating_ips=(floating(20 + n, port),))
            for n, (lan, port) in enumerate(zip(lans, ports, strict=True))
        ]
        assert await setting.apply(plane, state((ext, *lans), routers, OPEN)) == []
        first, second = (setting.peer(port, "10.0.1.1") for port in ports)
        third = setting.peer(theirs, "10.0.1.1")
        for peer in (first, second, third):
            peer.serve()
        assert await do(first.asks, "198.51.100.21") == "198.51.100.20"
        assert await do(third.asks, "198.51.100.20") == "198.51.100.11"
        assert not await do(first.reaches, "10.0.1.12")  # there is one in the other project
        assert await do(third.asks, "10.0.1.11") == "10.0.1.12"

    async def test_extra_routes(self, setting: Setting) -> None:
        plane, net, other = await setting.lab.plane(), private(1), private(2)
        one, hop = guest_port(net, 11, OPEN), guest_port(other, 11, port_security_enabled=False)
        lans = Lan(net, one), Lan(other, hop)
        made = router(lans[0].interface(), lans[1].interface(), routes=(("192.168.9.0/24", "10.0.2.11"),))
        assert await setting.apply(plane, state(lans, (made,), OPEN)) == []
        guest, beyond = setting.peer(one, "10.0.1.1"), setting.peer(hop, "10.0.2.1")
        await do(beyond.inside, "ip", "addr", "add", "192.168.9.1/24", "dev", "lo")
        assert await do(guest.pings, "192.168.9.1")
        wrong = replace(made, routes=(("192.168.9.0/24", "10.9.9.9"), ("10.0.1.0/24", "10.0.2.11"), ("x", "y\n-j")))
        faults = await setting.apply(plane, state(lans, (wrong,), OPEN))
        assert [re.sub(r".*(route to \S+).*: ", r"\1 ", fault) for fault in faults] == [
            "route to '192.168.9.0/24' the next hop is on none of its networks",
            "route to '10.0.1.0/24' the router is on that network itself",
            "route to 'x' 'x' is not an IP network",
        ]
        assert not await do(guest.pings, "192.168.9.1", patience=SOON)
        assert await do(guest.pings, "10.0.2.11")

    async def test_an_interface_and_a_gateway_come_and_go(self, setting: Setting) -> None:
        plane, ext, net, other = await setting.lab.plane(), Lan(external()), private(1), private(2)
        one, far = guest_port(net, 11, OPEN), guest_port(other, 11, OPEN)
        lans = Lan(net, one), Lan(other, far)
        ends = [lan.interface() for lan in lans]
        made = router(ends[0])
        assert await setting.apply(plane, state((ext, *lans), (made,), OPEN)) == []
        guest, third = setting.peer(one, "10.0.1.1"), setting.peer(far, "10.0.2.1")
        assert not await do(guest.pings, "10.0.2.11", patience=SOON)
        whole = replace(made, interfaces=tuple(ends), gateway=gateway(ext.net))
        assert await setting.apply(plane, state((ext, *lans), (whole,), OPEN)) == []
        assert await do(guest.pings, "10.0.2.11")
        assert await do(third.pings, OUTSIDE)
        await until(lambda: sum(up for _tap, up in setting.lab.taps) == 5)  # of two guests and the router's ports
        assert await setting.apply(plane, state((ext, *lans), (made,), OPEN)) == []
        assert not await do(guest.pings, "10.0.2.11", patience=SOON)
        assert not await do(guest.pings, OUTSIDE, patience=SOON)
        assert await do(guest.pings, "10.0.1.1")
        assert "10.0.2." not in await do(in_router, made.id, "conntrack", "-L")

    async def test_a_router_that_is_down_forwards_nothing(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one = guest_port(net, 11, OPEN)
        lan = Lan(net, one)
        made = router(lan.interface(), gateway=gateway(ext.net))
        await setting.apply(plane, state((ext, lan), (made,), OPEN))
        guest = setting.peer(one, "10.0.1.1")
        assert await do(guest.pings, OUTSIDE)
        await setting.apply(plane, state((ext, lan), (replace(made, admin_state_up=False),), OPEN))
        assert not await do(guest.pings, OUTSIDE, patience=SOON)
        assert setting.leftovers() == []
        await setting.apply(plane, state((ext, lan), (made,), OPEN))
        assert await do(guest.pings, OUTSIDE)

    async def test_a_moved_floating_ip_is_found_at_once(self, setting: Setting) -> None:
        """Outside still believes it to be at the first router."""
        plane, ext, nets = await setting.lab.plane(), Lan(external()), (private(1), private(2))
        ports = [guest_port(net, 11, OPEN) for net in nets]
        lans = [Lan(net, port) for net, port in zip(nets, ports, strict=True)]
        routers = [router(lan.interface(), gateway=gateway(ext.net, 10 + n)) for n, lan in enumerate(lans)]
        ip, world = floating(20, ports[0]), setting.world
        with_ip = replace(routers[0], floating_ips=(ip,))
        await setting.apply(plane, state((ext, *lans), (with_ip, routers[1]), OPEN))
        peers = [setting.peer(port, f"10.0.{n}.1") for n, port in enumerate(ports, 1)]
        for peer in peers:
            peer.serve()
        assert await do(world.asks, "198.51.100.20") == OUTSIDE
        moved = replace(routers[1], floating_ips=(floating(20, ports[1]),))
        await setting.apply(plane, state((ext, *lans), (routers[0], moved), OPEN))
        assert moved.gateway is not None

        def known() -> str:
            return world.inside("ip", "neigh", "show", "198.51.100.20")

        await until(lambda: moved.gateway is not None and moved.gateway.mac_address in known())
        assert await do(world.asks, "198.51.100.20") == OUTSIDE


class AdvertisementConformance:
    """IPv6: guests learn their prefix and their router."""

    async def test_guests_make_their_addresses(self, setting: Setting) -> None:
        plane, ext, nets = await setting.lab.plane(), Lan(external()), (private(1), private(2))
        macs = "fa:16:3e:aa:00:01", "fa:16:3e:aa:00:02"
        own = [eui64(f"fd00:{n}::", mac) for n, mac in enumerate(macs, 1)]
        bare = [guest_port(net, 11, OPEN, mac_address=mac) for net, mac in zip(nets, macs, strict=True)]
        ports = [
            replace(port, fixed_ips=(replace(port.fixed_ips[1], ip_address=ip),))
            for port, ip in zip(bare, own, strict=True)
        ]
        lans = [Lan(net, port) for net, port in zip(nets, ports, strict=True)]
        ends = [
            lan.interface(advertises=(AdvertisementModel(cidr=f"fd00:{n}::/64", dns_nameservers=("2001:db8::53",)),))
            for n, lan in enumerate(lans, 1)
        ]
        made = router(*ends, gateway=gateway(ext.net))
        assert await setting.apply(plane, state((ext, *lans), (made,), OPEN)) == []
        peers = [setting.peer(replace(port, fixed_ips=())) for port in ports]
        for peer, ip in zip(peers, own, strict=True):
            await until(lambda peer=peer, ip=ip: ip in peer.inside("ip", "-6", "addr", "show", "dev", "eth0"))  # type: ignore[misc]
            assert "default via fe80::" in await do(peer.inside, "ip", "-6", "route")
        assert await do(peers[0].pings, own[1])
        await do(setting.world.inside, "ip", "-6", "route", "add", "fd00:1::/64", "via", "2001:db8:f::a")
        assert await do(peers[0].pings, OUTSIDE_6)

    async def test_what_is_advertised_follows_the_mode(self, setting: Setting) -> None:
        plane, net = await setting.lab.plane(), private(1)
        one = guest_port(net, 11, port_security_enabled=False)
        lan = Lan(net, one)
        end = lan.interface(advertises=(AdvertisementModel(cidr="fd00:1::/64", mode="dhcpv6-stateful"),))
        made = router(end)
        assert await setting.apply(plane, state((lan,), (made,), OPEN)) == []
        peer = setting.peer(replace(one, fixed_ips=()))
        flags = {"dhcpv6-stateful": (0xC0, 0), "dhcpv6-stateless": (0x40, 0x40), "slaac": (0, 0x40)}
        for mode, (by_dhcp, by_guest) in flags.items():
            advertised = AdvertisementModel(cidr="fd00:1::/64", mode=mode, dns_nameservers=("2001:db8::53",))
            changed = replace(made, interfaces=(replace(end, advertises=(advertised,)),))
            assert await setting.apply(plane, state((lan,), (changed,), OPEN)) == []
            found = await do(peer.advertisement)
            prefix = found.index(bytes([3, 4, 64]))
            assert (found[5] & 0xC0, found[prefix + 3] & 0x40) == (by_dhcp, by_guest)
            assert bytes([5, 1, 0, 0]) + (1450).to_bytes(4, "big") in found  # the MTU
            assert socket.inet_pton(socket.AF_INET6, "2001:db8::53") in found
            assert await do(peer.dhcp_6, "solicit") == "nothing"  # that is for DHCP to say
        silent = replace(made, interfaces=(replace(end, advertises=()),))
        assert await setting.apply(plane, state((lan,), (silent,), OPEN)) == []
        assert {leftover.kind for leftover in await plane.leftovers()} & {"advertiser"} == set()


class LifeConformance:
    """Restarts, faults, metadata, and what is left."""

    async def test_a_restart_of_the_agent_loses_nothing(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one = guest_port(net, 11, OPEN)
        lan = Lan(net, one)
        end = lan.interface(advertises=(AdvertisementModel(cidr="fd00:1::/64"),))
        made = router(end, gateway=gateway(ext.net), floating_ips=(floating(20, one),))
        whole = state((ext, lan), (made,), OPEN)
        await setting.apply(plane, whole)
        guest, world = setting.peer(one, "10.0.1.1"), setting.world
        assert await do(world.pings, "198.51.100.20")
        pinging = asyncio.ensure_future(do(world.inside, "ping", "-i", "0.02", "-c", "150", "-W", "2", "198.51.100.20"))
        before = await do(_picture, made.id), await plane.leftovers()
        await plane.apply(whole)
        await plane.close()
        again = await setting.lab.plane()
        assert await again.leftovers() == before[1]
        assert await setting.apply(again, whole) == []
        assert "150 received" in await pinging
        assert (await do(_picture, made.id), await again.leftovers()) == before
        assert guest.tap in {f"tap{item.owner[:11]}" for item in before[1] if item.kind == "tap"}

    async def test_what_was_left_half_made_and_a_reboot(self, setting: Setting) -> None:
        """Only files outlive a reboot; an agent that was killed may leave a device that does not say whose it is."""
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one = guest_port(net, 11, OPEN)
        lan = Lan(net, one)
        made = router(lan.interface(advertises=(AdvertisementModel(cidr="fd00:1::/64"),)), gateway=gateway(ext.net))
        whole = state((ext, lan), (made,), OPEN)
        await setting.apply(plane, whole)
        await plane.close()
        tap = f"tap{made.interfaces[0].port_id[:11]}"
        await do(subprocess.run, ["ip", "link", "set", tap, "alias", ""], check=True)
        again = await setting.lab.plane()
        assert await setting.apply(again, whole) == []
        guest = setting.peer(one, "10.0.1.1")
        assert await do(guest.pings, OUTSIDE)
        guest.unplug()
        await again.close()
        for item in await again.leftovers():
            if item.kind == "advertiser":
                os.kill(int(item.name), 9)
        name = router_namespace(made.id)
        await do(subprocess.run, ["ip", "netns", "del", name], check=True)
        for one_of in (ext.net, net):
            await do(subprocess.run, ["ip", "link", "del", bridge_name(one_of.id)], check=True)
        Path(f"/run/netns/{name}").touch()
        rebooted = await setting.lab.plane()
        assert await setting.apply(rebooted, whole) == []
        assert await do(setting.peer(one, "10.0.1.1").pings, OUTSIDE)
        assert "advertiser" in {item.kind for item in await rebooted.leftovers()}

    async def test_a_fault_closes_its_router_alone(self, setting: Setting) -> None:
        plane, ext, nets = await setting.lab.plane(), Lan(external()), (private(1), private(2))
        ports = [guest_port(net, 11, OPEN) for net in nets]
        lans = [Lan(net, port) for net, port in zip(nets, ports, strict=True)]
        routers = [router(lan.interface(), gateway=gateway(ext.net, 10 + n)) for n, lan in enumerate(lans)]
        await setting.apply(plane, state((ext, *lans), routers, OPEN))
        peers = [setting.peer(port, f"10.0.{n}.1") for n, port in enumerate(ports, 1)]
        for peer in peers:
            assert await do(peer.pings, OUTSIDE)
        assert routers[0].gateway is not None
        wrong = replace(routers[0], gateway=replace(routers[0].gateway, addresses=("198.51.100.10/24\n-j ACCEPT",)))
        (fault,) = await setting.apply(plane, state((ext, *lans), (wrong, routers[1]), OPEN))
        assert fault.startswith(f"router {wrong.id}: ")
        assert not await do(peers[0].pings, OUTSIDE, patience=SOON)
        assert await do(peers[1].pings, OUTSIDE)
        unreadable = replace(
            floating(21, ports[0]), fixed_ip_address="10.0.1.11 -j ACCEPT"
        ), floating(20, ports[0], forwarding((80, 90), ports[0], (80, 81)))  # fmt: skip
        partly = replace(routers[0], floating_ips=unreadable)
        faults = await setting.apply(plane, state((ext, *lans), (partly, routers[1]), OPEN))
        assert [("floating IP" in fault, "ranges have different lengths" in fault) for fault in faults] == [
            (True, False), (False, True)]  # fmt: skip
        peers[0].serve()
        assert await do(setting.world.asks, "198.51.100.20") == OUTSIDE
        assert await setting.apply(plane, state((ext, *lans), routers, OPEN)) == []
        assert await do(peers[0].pings, OUTSIDE)

    async def test_metadata_without_dhcp(self, setting: Setting) -> None:
        """Equal addresses on two routers are two guests."""
        seen: list[httpx.Request] = []
        plane, ext, nets = await setting.lab.plane(backend(seen)), Lan(external()), (private(1), private(1))
        ports = [guest_port(net, 11, OPEN) for net in nets]
        lans = [Lan(net, port) for net, port in zip(nets, ports, strict=True)]
        routers = [router(lan.interface(), gateway=gateway(ext.net, 10 + n)) for n, lan in enumerate(lans)]
        assert await setting.apply(plane, state((ext, *lans), routers, OPEN)) == []
        for port in ports:
            status, body = await do(fetch, setting.peer(port, "10.0.1.1"), "/")
            assert (status, json.loads(body)["uuid"]) == (200, port.device_id)
        assert [request.headers["X-Forwarded-For"] for request in seen] == ["10.0.1.11"] * 2
        await do(setting.world.inside, "ip", "route", "add", "169.254.169.254", "via", "198.51.100.10")
        for address, number in (("169.254.169.254", 80), ("198.51.100.10", 9697)):
            assert not await do(setting.world.reaches, address, number)

    async def test_what_is_stale_inside_is_found(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        one, two = guest_port(net, 11, OPEN), guest_port(net, 12, OPEN)
        lan = Lan(net, one, two)
        forwarded = forwarding((80, 81), one, (180, 181)), forwarding((90, 90), two, (90, 90), "udp")
        meter = MeterModel(id=new_id(), rules=(MeterRuleModel(direction="ingress", source="192.0.2.0/24"),))
        made = router(
            lan.interface(), gateway=gateway(ext.net), floating_ips=(floating(20, one), floating(21, None, *forwarded)),
            routes=(("10.9.0.0/24", "10.0.1.11"),), meters=(meter,),
        )  # fmt: skip
        assert await setting.apply(plane, state((ext, lan), (made,), OPEN)) == []
        less = replace(
            made, floating_ips=(floating(21, None, forwarded[0]),), routes=(), meters=(), gateway=replace(
                gateway(ext.net), **{n: getattr(made.gateway, n) for n in ("port_id", "mac_address")}
            ),
        )  # fmt: skip
        found = await plane.stale(state((ext, Lan(net, one)), (less,), OPEN))
        kinds = [item.kind for item in found]
        assert {kind: kinds.count(kind) for kind in kinds} == {
            "address": 1, "chain": 3, "counter": 1, "route": 1, "rule": 5
        }  # fmt: skip
        words = " ".join(item.name for item in found)
        for text in ("198.51.100.20/32 on qg-", "10.9.0.0/24 via 10.0.1.11", "-d 198.51.100.21/32 -p udp", meter.id):
            assert text in words, text
        assert "--dport 80:81" not in words
        assert {item.owner for item in found if item.kind != "chain"} == {made.id}
        assert all(two.id.startswith(item.owner) for item in found if item.kind == "chain")

    async def test_routers_of_an_older_agent_go(self, setting: Setting) -> None:
        plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
        lan = Lan(net, guest_port(net, 11, OPEN))
        end = lan.interface(advertises=(AdvertisementModel(cidr="fd00:1::/64"),))
        made = router(end, gateway=gateway(ext.net))
        await setting.apply(plane, state((ext, lan), (made,), OPEN))
        kinds = {item.kind: item.owner for item in await plane.leftovers() if item.kind in ("router", "advertiser")}
        assert kinds == {"router": made.id, "advertiser": made.id}
        await plane.close()
        again = await setting.lab.plane()
        assert await setting.apply(again, replace(state((ext, lan), (), OPEN), routers=None)) != []  # an older service
        assert router_namespace(made.id) in setting.leftovers()
        assert await setting.apply(again, state((ext, lan), (), OPEN)) == []
        assert setting.leftovers() == []
        assert not {"router", "advertiser"} & {item.kind for item in await again.leftovers()}
        await again.apply(HostModel(routers=(), qos_policies=(), trunks=()))
        assert await again.leftovers() == []

    async def test_an_id_that_is_none_is_refused(self, setting: Setting) -> None:
        plane, net = await setting.lab.plane(), private(1)
        lan = Lan(net)
        wrong = replace(router(lan.interface()), id="../" + new_id())
        (fault,) = await plane.apply(state((lan,), (wrong,), OPEN))
        assert (fault.kind, fault.lasting) == ("router", True)
        assert "is not a uuid" in fault.reason
        setting.lab.networks.append(net.id)


def _picture(router_id: str) -> list[str]:
    """All that a router is, but for counters and times."""
    tables = [
        in_router(router_id, *words)
        for words in (
            ["ip", "-o", "addr"],
            ["ip", "route"],
            ["ip", "-6", "route"],
            ["iptables-save"],
            ["ip", "-o", "link"],
        )
    ]
    return [re.sub(r"\[\d+:\d+\]|^#.*$|expires \S+", "", text, flags=re.M) for text in tables]
