from __future__ import annotations

import asyncio

from kilonova.network.agent.model import HostModel, tap_name
from kilonova.network.agent.noop import NoopDataPlane
from tests.host.dataplane.lab import model, network, port


async def test_ports_come_up_when_named_and_go_when_not() -> None:
    plane, reported = NoopDataPlane(), []
    await plane.open()
    plane.subscribe(lambda tap, up: reported.append((tap, up)))
    net = network()
    here, there = port(net, 10), port(net, 11, local=False)
    await plane.apply(model(net, (here, there)))
    await plane.apply(model(net, (here, there)))
    await asyncio.sleep(0)
    assert reported == [(tap_name(here.id), True)]
    assert {(v.kind, v.owner) for v in await plane.leftovers()} == {("bridge", net.id), ("tap", here.id)}
    await plane.apply(HostModel())
    await asyncio.sleep(0)
    assert reported[1:] == [(tap_name(here.id), False)]
    assert await plane.leftovers() == []


async def test_unplug_and_late_subscribers() -> None:
    plane, reported = NoopDataPlane(), []
    net = network()
    one = port(net, 10)
    await plane.apply(model(net, (one,)))
    plane.subscribe(lambda tap, up: reported.append((tap, up)))
    await asyncio.sleep(0)
    await plane.unplug(one.id)
    await plane.unplug(one.id)
    await plane.close()
    await asyncio.sleep(0)
    assert reported == [(tap_name(one.id), True), (tap_name(one.id), False)]
