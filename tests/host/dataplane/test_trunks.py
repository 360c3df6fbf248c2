"""Trunks: a guest's one tap carries ports of other networks by VLAN tags. Guests put tags on as hosts take them off: a kernel
without VLAN devices has none for guests either."""

from __future__ import annotations

import asyncio
import subprocess

import pytest
from msgspec.structs import replace

from kilonova.network.agent.model import (
    HostModel,
    NetworkModel,
    PortModel,
    SecurityGroupModel,
    SubportModel,
    TrunkModel,
)
from kilonova.network.agent.system import bpf, netns
from kilonova.network.agent.system.names import subport_link
from kilonova.network.agent.system.netlink import route
from tests.eventually import until
from tests.host.dataplane.conformance import SSH
from tests.host.dataplane.conftest import Lab
from tests.host.dataplane.lab import SOON, Guest, group, network, new_id, port, rule

do = asyncio.to_thread
pytestmark = pytest.mark.lab


def tagged(guest: Guest, vlan: int, mac: str, address: str) -> None:
    """The guest's device `vN` for a VLAN, with this MAC and address."""

    def make() -> None:
        with route() as ip:
            ip.link("add", ifname=f"v{vlan}", kind="veth", peer={"ifname": f"w{vlan}"})
            (eth,), (near,), (far,) = (ip.link_lookup(ifname=name) for name in ("eth0", f"v{vlan}", f"w{vlan}"))
            ip.link("set", index=far, state="up")
            ip.link("set", index=near, address=mac, mtu=1400, state="up")
            ip.addr("add", index=near, address=address, prefixlen=24)
            bpf.at_ingress(ip, far, bpf.tag(vlan, eth), priority=1)
            bpf.at_ingress(ip, eth, bpf.untag(vlan, far), priority=vlan)

    netns.run_inside(guest.namespace, make)


def state(
    nets: tuple[NetworkModel, NetworkModel], *ports: PortModel, groups: tuple[SecurityGroupModel, ...],
    trunk: TrunkModel | None = None,
) -> HostModel:  # fmt: skip
    return HostModel(
        networks=tuple(replace(net, ports=tuple(p for p in ports if p.network_id == net.id)) for net in nets),
        security_groups=groups,
        routers=(),
        trunks=(trunk,) if trunk is not None else (),
    )


def trunk(parent: PortModel, **carried: PortModel) -> TrunkModel:
    """`vlan10=port` carries the port with the tag 10."""
    subports = tuple(
        SubportModel(port_id=one.id, network_id=one.network_id, vlan=int(name.removeprefix("vlan")))
        for name, one in carried.items()
    )
    return TrunkModel(id=new_id(), parent_id=parent.id, subports=subports)


def far_end(a_port: PortModel) -> bool:
    done = subprocess.run(["ip", "link", "show", subport_link(a_port.id)], capture_output=True, check=False)
    return done.returncode == 0


async def test_a_subport(lab: Lab) -> None:
    plane = await lab.plane()
    assert plane.trunks
    outer, inner, ssh = network(), network(), group(rule(**SSH))
    parent, peer = port(outer, 11, ssh), port(inner, 12, ssh)
    carried = port(inner, 21, ssh, device_owner="trunk:subport", device_id="")
    every = (parent, peer, carried)
    whole = state((outer, inner), *every, groups=(ssh,), trunk=trunk(parent, vlan10=carried))
    assert await plane.apply(whole) == ()
    other = lab.guest(peer)
    assert not far_end(carried)  # nothing carries it yet

    guest = lab.guest(parent, static=False)
    tap = f"tap{carried.id[:11]}"
    await until(lambda: (tap, True) in lab.taps)
    await do(tagged, guest, 10, carried.mac_address, "198.18.7.21")
    other.listen(22)
    other.listen(80)
    guest.listen(22)
    guest.listen(80)
    assert await do(guest.connects, "198.18.7.12", 22)
    assert await do(other.connects, "198.18.7.21", 22)
    assert not await do(other.connects, "198.18.7.21", 80, SOON)  # the subport's own groups hold
    assert not await do(guest.connects, "198.18.7.12", 80, SOON)

    await do(guest.inside, "ip", "addr", "add", "198.18.7.99/24", "dev", "v10")
    assert not await do(guest.pings, "198.18.7.12", "-I", "198.18.7.99", patience=SOON)  # another's address
    await do(tagged, guest, 11, carried.mac_address, "198.18.8.21")
    await do(other.inside, "ip", "addr", "add", "198.18.8.12/24", "dev", "eth0")
    assert not await do(guest.pings, "198.18.8.12", patience=SOON)  # a tag of no subport


async def test_it_follows_its_parent_and_outlives_the_agent(lab: Lab) -> None:
    plane = await lab.plane()
    outer, inner, ssh = network(), network(), group(rule(**SSH), rule(protocol="icmp"))
    parent, peer = port(outer, 11, ssh), port(inner, 12, ssh)
    carried = port(inner, 21, ssh, device_owner="trunk:subport", device_id="")
    every = (parent, peer, carried)
    whole = state((outer, inner), *every, groups=(ssh,), trunk=trunk(parent, vlan10=carried))
    assert await plane.apply(whole) == ()
    lab.guest(peer)
    guest = lab.guest(parent, static=False)
    await until(lambda: far_end(carried))
    await do(tagged, guest, 10, carried.mac_address, "198.18.7.21")
    assert await do(guest.pings, "198.18.7.12")

    pinging = asyncio.ensure_future(do(guest.inside, "ping", "-i", "0.02", "-c", "100", "-W", "2", "198.18.7.12"))
    await plane.close()
    again = await lab.plane()
    assert await again.apply(whole) == ()
    assert "100 received" in await pinging

    other_tag = trunk(parent, vlan30=carried)
    assert await again.apply(state((outer, inner), *every, groups=(ssh,), trunk=other_tag)) == ()
    assert not await do(guest.pings, "198.18.7.12", patience=SOON)
    assert await again.apply(whole) == ()
    assert await do(guest.pings, "198.18.7.12")

    lab.taps.clear()
    await do(guest.unplug)
    await until(lambda: (f"tap{carried.id[:11]}", False) in lab.taps)
    assert not far_end(carried)
    back = lab.guest(parent, static=False)
    await until(lambda: far_end(carried))
    await do(tagged, back, 10, carried.mac_address, "198.18.7.21")
    assert await do(back.pings, "198.18.7.12")

    down = state((outer, inner), *every, groups=(ssh,))  # the trunk is administratively down
    assert await again.apply(down) == ()
    assert not far_end(carried)
    assert await again.apply(whole) == ()
    assert await do(back.pings, "198.18.7.12")
    assert await again.apply(state((outer, inner), parent, peer, groups=(ssh,))) == ()
    assert not far_end(carried)
    assert not await do(back.pings, "198.18.7.12", patience=SOON)
    assert await again.apply(whole) == ()
    assert await do(back.pings, "198.18.7.12")
    older = replace(whole, trunks=None)  # a network service that knows of no trunks
    assert await again.apply(older) == ()
    assert await do(back.pings, "198.18.7.12")
    bad = SubportModel(port_id="x; rm", network_id=inner.id, vlan=40)
    wrong = replace(trunk(parent), subports=(bad,))
    assert await again.apply(state((outer, inner), *every, groups=(ssh,), trunk=wrong)) == ()
    assert not far_end(carried)
