"""Routers in namespaces, on the machine itself."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from kilonova.network.agent.l3.namespace.plan import Plan
from tests.eventually import until
from tests.host.dataplane.l3_conformance import (
    OPEN,
    AdvertisementConformance,
    LifeConformance,
    NatConformance,
    RoutingConformance,
    options,
    setting,
    world,
)
from tests.host.dataplane.routing import (
    HOLD,
    OUTSIDE,
    Lan,
    Setting,
    external,
    floating,
    gateway,
    guest_port,
    in_router,
    private,
    router,
    state,
)

do = asyncio.to_thread
pytestmark = pytest.mark.lab
__all__ = ["options", "setting", "world"]  # fixtures


@pytest.fixture
def chosen() -> dict[str, str]:
    return {"l3": "namespace"}


class TestNat(NatConformance): ...


class TestRouting(RoutingConformance): ...


class TestAdvertisements(AdvertisementConformance): ...


class TestLife(LifeConformance): ...


async def test_an_agent_that_ended_in_the_middle_leaves_nothing_out(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an announcement nor a connection that lived by what was half applied."""
    plane, ext, nets = await setting.lab.plane(), Lan(external()), (private(1), private(2))
    ports = [guest_port(net, 11, OPEN) for net in nets]
    lans = [Lan(net, port) for net, port in zip(nets, ports, strict=True)]
    first, second = (router(lan.interface(), gateway=gateway(ext.net, 10 + n)) for n, lan in enumerate(lans))
    before = (replace(first, floating_ips=(floating(20, ports[0]),)), second)
    await setting.apply(plane, state((ext, *lans), before, OPEN))
    peers = [setting.peer(port, f"10.0.{n}.1") for n, port in enumerate(ports, 1)]
    world = setting.world
    for peer in peers:
        peer.serve()
    assert await do(world.asks, "198.51.100.20") == OUTSIDE

    class Ended(BaseException): ...

    lead = plane.parts.l3.links.lead

    def ending(plan: Plan) -> list[str]:
        if plan.id == second.id:
            raise Ended
        return lead(plan)

    monkeypatch.setattr(plane.parts.l3.links, "lead", ending)
    moved = (first, replace(second, floating_ips=(floating(20, ports[1]), floating(21, ports[1]))))
    with pytest.raises(Ended):
        await plane.apply(state((ext, *lans), moved, OPEN))
    await do(world.start, HOLD, "198.51.100.21", "22")
    assert "dst=198.51.100.21" in await do(in_router, second.id, "conntrack", "-L", "-p", "tcp")
    again = await setting.lab.plane()
    last = (first, replace(second, floating_ips=(floating(20, ports[1]),)))
    assert await setting.apply(again, state((ext, *lans), last, OPEN)) == []
    assert "dst=198.51.100.21" not in await do(in_router, second.id, "conntrack", "-L", "-p", "tcp")
    assert second.gateway is not None
    mac = second.gateway.mac_address
    await until(lambda: mac in world.inside("ip", "neigh", "show", "198.51.100.20"))
