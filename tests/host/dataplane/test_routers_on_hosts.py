"""A router on one host, a guest of its network on another: between them is a tunnel."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from kilonova.network.agent.model import HostModel
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.testing.hosts import Underlay, VirtualHost
from tests.host.dataplane.l3_conformance import OPEN
from tests.host.dataplane.remote import RemoteDataPlane
from tests.host.dataplane.routing import (
    OUTSIDE,
    Lan,
    Peer,
    World,
    external,
    floating,
    gateway,
    guest_port,
    private,
    router,
    state,
)

pytestmark = pytest.mark.lab
do = asyncio.to_thread


@pytest.fixture
def hosts() -> Iterator[list[VirtualHost]]:
    folder = Path(tempfile.mkdtemp(prefix="kilonova-", dir="/tmp"))
    folder.chmod(0o755)
    with Underlay.claim("kl") as underlay:
        found = [VirtualHost(underlay, name, number, folder / name) for number, name in enumerate("ab", 1)]
        for host in found:
            host.start()
        yield found
        for host in found:
            host.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
async def planes(hosts: list[VirtualHost], tmp_path: Path) -> AsyncIterator[list[RemoteDataPlane]]:
    instance = "x" + secrets.token_hex(1)
    made = [
        RemoteDataPlane(
            host,
            DataPlaneOptions(
                state_dir=str(tmp_path / host.name),
                instance=instance,
                tunnel_ip=host.address,
                vxlan_port=14790,
                bridge_mappings={"public": "br-ex"},
            ),
        )
        for host in hosts
    ]
    for plane in made:
        await plane.open()
    yield made
    for plane in made:
        await plane.close(remove=True)


def seen_from(here: VirtualHost, whole: HostModel, places: dict[str, VirtualHost]) -> HostModel:
    """What `here` is sent of it; `places` are ports' hosts."""
    networks = [
        replace(
            net,
            ports=tuple(
                replace(
                    port,
                    local=places[port.id] is here,
                    tunnel_ip="" if places[port.id] is here else places[port.id].address,
                )
                for port in net.ports
            ),
        )
        for net in whole.networks
    ]
    shown = tuple(net for net in networks if any(port.local for port in net.ports))
    mine = tuple(one for one in whole.routers or () if any(places[end.port_id] is here for end in one.interfaces))
    return replace(whole, networks=shown, routers=mine)


async def test_a_router_serves_guests_on_other_hosts(hosts: list[VirtualHost], planes: list[RemoteDataPlane]) -> None:
    ext, net = Lan(external()), private(1, segmentation_id=77)
    near, far = guest_port(net, 11, OPEN), guest_port(net, 12, OPEN)
    lan = Lan(net, near, far)
    made = router(lan.interface(), gateway=gateway(ext.net), floating_ips=(floating(20, far),))
    whole = state((ext, lan), (made,), OPEN)
    places = {port.id: hosts[0] for shown in whole.networks for port in shown.ports} | {far.id: hosts[1]}
    world = World(hosts[0])
    world.bridge = "br-ex"
    world.make()
    guests = [Peer(port, place) for port, place in ((near, hosts[0]), (far, hosts[1]))]
    try:
        for host, plane in zip(hosts, planes, strict=True):
            assert await plane.apply(seen_from(host, whole, places)) == ()
        first, second = [guest.join("10.0.1.1") for guest in guests]
        for peer in (first, second, world):
            await do(peer.serve, 22)
        assert await do(second.asks, OUTSIDE) == "198.51.100.20"
        assert await do(first.asks, OUTSIDE) == "198.51.100.10"
        assert await do(world.asks, "198.51.100.20") == OUTSIDE
        assert await do(first.asks, "198.51.100.20") == "198.51.100.10"
        assert await do(second.pings, OUTSIDE, "-M", "do", "-s", "1422")  # as long as the network's MTU lets it be
        await planes[0].kill()
        assert await do(world.asks, "198.51.100.20") == OUTSIDE
        await planes[0].open()
        assert await planes[0].apply(seen_from(hosts[0], whole, places)) == ()
        assert await do(world.asks, "198.51.100.20") == OUTSIDE
    finally:
        for guest in guests:
            guest.unplug()
        world.unmake()
