"""Flat networks: their guests are on the wire of a physical network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from kilonova.network.agent.model import HostModel, bridge_name
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.system.names import outward_link, physical_link
from tests.host.dataplane.conformance import Client
from tests.host.dataplane.l3_conformance import OPEN, options, setting, world
from tests.host.dataplane.lab import SOON
from tests.host.dataplane.routing import OUTSIDE, Lan, Setting, external, guest_port, state

pytestmark = pytest.mark.lab
__all__ = ["options", "setting", "world"]  # fixtures
do = asyncio.to_thread


@pytest.fixture
def chosen() -> dict[str, str]:
    return {}


def mtu(device: str) -> str:
    return Path(f"/sys/class/net/{device}/mtu").read_text().strip()


async def test_guests_of_a_flat_network_are_outside(setting: Setting) -> None:
    plane, net = await setting.lab.plane(), replace(external(), mtu=1400)
    one = guest_port(net, 30, OPEN)
    assert await setting.apply(plane, state((Lan(net, one),), (), OPEN)) == []
    guest, world = setting.peer(one), setting.world
    guest.serve()
    assert await do(guest.pings, OUTSIDE)
    assert await do(world.asks, "198.51.100.30") == OUTSIDE
    assert await do(guest.pings, "2001:db8:f::1")
    assert (mtu(physical_link(net.id)), mtu(outward_link(net.id)), mtu(world.bridge)) == ("1400", "1500", "1500")
    assert {item.name for item in await plane.leftovers() if item.kind == "bridge"} == {bridge_name(net.id)}
    again = await setting.lab.plane()
    assert await setting.apply(again, state((Lan(net, one),), (), OPEN)) == []
    assert await do(guest.pings, OUTSIDE)
    left = replace(net, physical_network=None)
    assert await setting.apply(again, state((Lan(left, one),), (), OPEN)) == []
    assert not await do(guest.pings, OUTSIDE, patience=SOON)
    assert not Path(f"/sys/class/net/{outward_link(net.id)}").exists()


async def test_dhcp_stays_on_its_host(setting: Setting, options: DataPlaneOptions) -> None:
    """Neither is the outside served, nor are guests by what is outside."""
    plane, base = await setting.lab.plane(), external()
    served = replace(base.subnets[0], dhcp_ip="198.51.100.2", enable_dhcp=True)
    net = replace(base, subnets=(served, base.subnets[1]), dhcp_mac="fa:16:3e:07:00:02")
    one = guest_port(net, 30, OPEN)
    mac = next(
        line.split()[1] for line in setting.world.inside("ip", "link", "show", "eth0").splitlines() if "ether" in line
    )
    known = guest_port(net, 31, OPEN, mac_address=mac, local=False)
    assert await setting.apply(plane, state((Lan(net, one, known),), (), OPEN)) == []
    client, guest = Client(Path(options.state_dir)), setting.peer(replace(one, fixed_ips=()))
    assert await do(client.ask, setting.world) == {}
    assert (await do(client.ask, guest))["ip"] == "198.51.100.30"
    assert not await do(setting.world.pings, "198.51.100.2", patience=SOON)


async def test_a_physical_network_that_is_not_here_is_named(setting: Setting, options: DataPlaneOptions) -> None:
    plane, net = await setting.lab.plane(), replace(external(), physical_network="elsewhere")
    (fault,) = await setting.apply(plane, HostModel(networks=(net,), routers=()))
    assert fault == (
        f"network {net.id}: network {net.id}: physical network 'elsewhere' is not in dataplane.bridge_mappings of this host"
    )
    options.bridge_mappings["elsewhere"] = "no-such-bridge"
    (fault,) = await setting.apply(plane, HostModel(networks=(net,), routers=()))
    assert "names no-such-bridge: there is no such bridge" in fault


@pytest.mark.parametrize("bridge", ["", "eth0/../x", "a" * 16, "x y", "-x"])
def test_a_bridge_that_can_have_no_such_name_is_refused(bridge: str) -> None:
    with pytest.raises(ValueError, match="bridge_mappings must name a bridge"):
        DataPlaneOptions(state_dir="/x", bridge_mappings={"public": bridge})
