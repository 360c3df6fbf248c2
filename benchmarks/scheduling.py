"""Scheduling: one pass of filters and weighers over the hosts, and a whole request to the scheduler, claims included."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import statistics
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.compute import models, tables
from kilonova.compute.scheduler.candidates import Hosts
from kilonova.compute.scheduler.drivers import Driver, load_driver
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plan import Planner
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.core import gc_tuning
from kilonova.placement import tables as placement
from tests.component.conductor.lab import CTX, PROJECT, Lab
from tests.unit.scheduler.hosts import FACTS, host, request

BOUNDS = {100: None, 1000: 2.0, 10000: 10.0}
REQUESTS, AT_ONCE = 20, 4
NEXT_PASSES, CHANGED = 20, 10


def run(rounds: int) -> list[Row]:
    rows = []
    for count, asked in BOUNDS.items():
        first, later = _passes(count, rounds)
        rows.append(
            Row(what=f"one pass, {count} hosts, {CHANGED} of them changed", unit="ms", samples=later, asked=asked)
        )
        rows.append(Row(what=f"first pass for a flavor and image, {count} hosts", unit="ms", samples=first))
        with workplace() as folder:
            rows += asyncio.run(_requests(folder, count, rounds))
    return rows


def _passes(count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Hosts that differ in what is free, as they do after a while. The first pass for a flavor and image looks at all of them;
    the next ones, between which some hosts change, at those."""
    states = [host(f"host-{n}", memory_mb_free=4000 + n % 4000, vcpus_free=n % 8) for n in range(count)]
    driver, asked = load_driver(SchedulerOptions(), random.Random(1)), request(availability_zone="nova")
    gc_tuning.settle()  # as every process of a cloud does
    first, later = [], []
    for turn in range(rounds):
        hosts = Hosts(states)
        first.append(_pass_ms(driver, hosts, asked))
        moments = []
        for n in range(NEXT_PASSES):
            for changed in range(CHANGED):
                state = hosts[f"host-{(turn * 1000 + n * CHANGED + changed) * 7 % count}"]
                hosts.put(msgspec.structs.replace(state, memory_mb_free=state.memory_mb_free - 64))
            moments.append(_pass_ms(driver, hosts, asked))
        later.append(statistics.median(moments))
    return first, later


def _pass_ms(driver: Driver, hosts: Hosts, asked: FilterRequest) -> float:
    began = time.perf_counter()
    Planner(driver, hosts, asked).plan(["server"], {})
    return (time.perf_counter() - began) * 1000


async def _requests(folder: Path, count: int, rounds: int) -> list[Row]:
    """To one scheduler, one after the other; and to four at once."""
    lab = Lab(folder)
    await lab.open()
    await _fill(lab, count)
    schedulers = [lab.scheduler, *(lab.new_scheduler() for _ in range(AT_ONCE - 1))]
    alone, together = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(REQUESTS):
            await _ask(lab, lab.scheduler)
        alone.append((time.perf_counter() - began) / REQUESTS * 1000)
        began = time.perf_counter()
        await asyncio.gather(*(_ask(lab, schedulers[n % AT_ONCE]) for n in range(REQUESTS)))
        together.append(REQUESTS / (time.perf_counter() - began))
    await lab.close()
    return [
        Row(what=f"one request with its claim, {count} hosts", unit="ms", samples=alone),
        Row(what=f"{AT_ONCE} schedulers at once, {count} hosts", unit="/s", samples=together, more_is_better=True),
    ]


async def _ask(lab: Lab, scheduler: Any) -> None:
    (made,) = await scheduler.select_destinations(CTX, [lab.clock.uuid()], lab.spec(), PROJECT, "u")
    if made.host is None:
        raise RuntimeError("no host was found")


async def _fill(lab: Lab, count: int) -> None:
    """Hosts as the conductor records them, without their heartbeats."""
    now = lab.now()
    names = [f"host-{n}" for n in range(count)]
    alive = now + dt.timedelta(days=1)
    services = [
        {"host": name, "binary": "nova-compute", "uuid": lab.clock.uuid(), "last_seen": alive, "created_at": now}
        for name in names
    ]
    nodes = [
        {
            "uuid": lab.clock.uuid(), "host": name, "hypervisor_hostname": name, "vcpus": 64, "memory_mb": 262144,
            "disk_gb": 4000, "hypervisor_type": "QEMU", "hypervisor_version": 7002000, "host_ip": "127.0.0.1",
            "facts": msgspec.to_builtins(FACTS), "stats": msgspec.to_builtins(models.HostStats()), "created_at": now,
            "updated_at": now - dt.timedelta(minutes=1),
        }
        for name in names
    ]  # fmt: skip
    async with lab.database.transaction() as tx:
        await tx.connection.execute(insert(tables.services), services)
        await tx.connection.execute(insert(tables.compute_nodes), nodes)
    providers = [
        {"id": n + 1, "uuid": node["uuid"], "name": node["host"], "generation": 0} for n, node in enumerate(nodes)
    ]
    amounts = {"VCPU": 256, "MEMORY_MB": 262144, "DISK_GB": 4000}
    inventories = [
        {
            "provider_id": provider["id"], "resource_class": name, "total": total, "reserved": 0, "min_unit": 1,
            "max_unit": total, "step_size": 1, "allocation_ratio": 1.0, "capacity": total, "used": 0,
        }
        for provider in providers
        for name, total in amounts.items()
    ]  # fmt: skip
    async with lab.placement_service.database.transaction() as tx:
        await tx.connection.execute(insert(placement.resource_providers), providers)
        await tx.connection.execute(insert(placement.inventories), inventories)
