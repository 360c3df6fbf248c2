"""A port as its host's agent sees it: from the message that it is there until bridge, filters and lease are in place, with the
real data plane (root). In between the agent asks for what has changed, as always."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.core import gc_tuning, log
from kilonova.core.context import RequestContext
from kilonova.network.agent.dataplane import DataPlane
from kilonova.network.agent.manager import NetworkAgent
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import compose
from kilonova.network.options import NetworkOptions
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud, running

TURNS, INSTANCE = 20, "bw"


class TimedAgent(NetworkAgent):
    """`took` has the milliseconds of each message about ports of the host."""

    def __init__(self, cloud: Cloud, plane: DataPlane) -> None:
        super().__init__(cloud.core, plane, HOST)
        self.took: list[float] = []

    async def changed(self, ctx: RequestContext, port_ids: list[str]) -> None:
        began = time.perf_counter()
        await super().changed(ctx, port_ids)
        if port_ids:
            self.took.append((time.perf_counter() - began) * 1000)


def run(rounds: int) -> list[Row]:
    log.configure(level="error")
    if os.geteuid() != 0:
        raise RuntimeError("the data plane needs root")
    with workplace() as folder:
        return asyncio.run(_run(folder, rounds))


async def _run(folder: Path, rounds: int) -> list[Row]:
    options = DataPlaneOptions(state_dir=str(folder / "plane"), instance=INSTANCE)
    firsts: list[float] = []
    others: list[float] = []
    async with running(folder, NetworkOptions()) as cloud:
        agent = TimedAgent(cloud, compose(options))
        await agent.start()
        try:
            gc_tuning.settle()
            for turn in range(rounds):
                first, *rest = await _network(cloud, agent, f"10.{turn}.0.0/16")
                firsts.append(first)
                others.append(sorted(rest)[len(rest) // 2])
        finally:
            await agent.stop()
            plane = compose(options)
            await plane.open()
            await plane.close(remove=True)
    return [
        Row(what="a port seen by its host's agent, wired", unit="ms", samples=others, asked=60.0),
        Row(what="the same, the first of its network", unit="ms", samples=firsts),
    ]


async def _network(cloud: Cloud, agent: TimedAgent, cidr: str) -> list[float]:
    """Milliseconds of the ports of a network, one after the other."""
    network, _ = await cloud.network(cidr)
    agent.took.clear()
    ports: list[Any] = []
    for number in range(1, TURNS + 2):
        ports.append(await cloud.bound(network))
        await until(lambda number=number: len(agent.took) >= number)
    took = list(agent.took)
    for port in ports:
        await cloud("DELETE", f"/ports/{port['id']}", token="service")
    return took
