"""Routers in namespaces, on the machine itself."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from kilonova.network.agent.dataplane import Metered
from kilonova.network.agent.l3.namespace.plan import Plan
from kilonova.network.agent.model import MeterModel, MeterRuleModel
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
from tests.host.dataplane.lab import new_id
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


def _counted(told: list[Metered], label_id: str) -> tuple[int, int]:
    """Packets and reports of a label."""
    mine = [one.packets for one in told if one.label_id == label_id]
    return sum(mine), len(mine)


async def test_metering_labels_count_once(setting: Setting) -> None:
    """Each packet by the first rule that matches it, over changes of rules, restarts of the agent and reports that are not
    delivered."""
    plane, ext, net = await setting.lab.plane(), Lan(external()), private(1)
    one = guest_port(net, 11, OPEN)
    lan = Lan(net, one)
    inside, both = new_id(), new_id()
    narrow = MeterRuleModel(direction="egress", source="10.0.1.11/32")
    wide = MeterRuleModel(direction="egress", source="10.0.1.0/24")
    back = MeterRuleModel(direction="ingress", destination="10.0.1.0/24")
    meters = (
        MeterModel(id=inside, rules=(narrow, wide)),
        MeterModel(id=both, rules=(back, wide, replace(narrow, excluded=True))),  # type: ignore[type-var]
    )
    made = router(lan.interface(), gateway=gateway(ext.net), meters=meters)
    assert await setting.apply(plane, state((ext, lan), (made,), OPEN)) == []
    guest = setting.peer(one, "10.0.1.1")
    assert await do(guest.pings, OUTSIDE)  # some packets, until the first is answered
    first = await plane.metered()
    sent, _ = _counted(first, inside)
    answered, _ = _counted(first, both)
    assert sent >= answered >= 1

    await do(guest.inside, "ping", "-c", "10", "-i", "0.02", OUTSIDE)
    assert await plane.metered() == first  # it was not delivered
    changed = replace(made, meters=(replace(meters[0], rules=(wide,)), meters[1]))  # type: ignore[type-var]
    assert await setting.apply(plane, state((ext, lan), (changed,), OPEN)) == []
    await plane.close()
    again = await setting.lab.plane()
    assert await setting.apply(again, state((ext, lan), (changed,), OPEN)) == []
    assert await again.metered() == first
    second = await again.metered({told.id for told in first})
    assert (_counted(second, inside), _counted(second, both)) == ((10, 1), (10, 1))
    assert all(told.router_id == made.id and told.bytes == 10 * 84 and told.until >= told.since for told in second)

    await do(guest.inside, "ping", "-c", "5", "-i", "0.02", OUTSIDE)
    without = replace(changed, meters=changed.meters[1:])
    assert await setting.apply(again, state((ext, lan), (without,), OPEN)) == []
    assert inside not in await do(in_router, made.id, "nft", "list", "ruleset")
    await do(guest.inside, "ping", "-c", "5", "-i", "0.02", OUTSIDE)
    assert await setting.apply(again, state((ext, lan), (), OPEN)) == []
    third = await again.metered({told.id for told in second})
    assert (_counted(third, inside), _counted(third, both)) == ((5, 1), (10, 1))
    assert await again.metered({told.id for told in third}) == []
