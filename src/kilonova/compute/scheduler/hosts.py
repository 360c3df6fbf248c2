"""What the scheduler knows of the hosts: rows of compute and summaries of placement as HostStates."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from functools import lru_cache

import msgspec

from kilonova.compute.models import HostFacts, HostState, HostStats
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.store import hosts as store
from kilonova.core.clock import Clock
from kilonova.core.db import Database, Row
from kilonova.placement.client import PlacementClient
from kilonova.placement.schemas.providers import ClassUsage

NOTHING = ClassUsage(capacity=0, used=0)
ZONE = "availability_zone"
Hosts = dict[str, HostState]


class HostReader:
    """Reads all hosts at once. Requests that come together share one reading."""

    def __init__(self, database: Database, placement: PlacementClient, options: SchedulerOptions, clock: Clock) -> None:
        self.database, self.placement, self.options, self.clock = database, placement, options, clock
        self._running: asyncio.Task[Hosts] | None = None
        self._next: asyncio.Task[Hosts] | None = None

    async def shared(self) -> Hosts:
        """A reading that begins after this call, perhaps shared with others, who see what is taken from it."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[Hosts] | None) -> Hosts:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self.fresh()

    async def fresh(self) -> Hosts:
        """A reading for the caller alone, in the order in which the hosts became known."""
        async with self.database.reading() as connection:
            rows = await store.states(connection)
            memberships = await store.aggregate_metadata(connection)
        usages = {s.uuid: s.resources for s in await self.placement.summaries()}
        aggregates: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row in memberships:
            aggregates[row.host].append(row.metadata)
        since = self.clock.now().replace(tzinfo=None) - dt.timedelta(seconds=self.options.service_down_time)
        return {row.host: self._state(row, aggregates[row.host], usages.get(row.uuid, {}), since) for row in rows}

    def _state(
        self, row: Row, aggregates: list[dict[str, str]], usage: dict[str, ClassUsage], since: dt.datetime
    ) -> HostState:
        vcpu, memory = usage.get("VCPU", NOTHING), usage.get("MEMORY_MB", NOTHING)
        disk = usage.get("DISK_GB", NOTHING)
        return HostState(
            host=row.host,
            node=row.hypervisor_hostname,
            node_uuid=row.uuid,
            enabled=not row.disabled,
            up=is_up(row, since),
            availability_zone=zone_of(aggregates, self.options.default_availability_zone),
            aggregates=aggregates,
            vcpus_total=row.vcpus,
            vcpus_free=vcpu.capacity - vcpu.used,
            vcpus_used=vcpu.used,
            memory_mb_total=row.memory_mb,
            memory_mb_free=memory.capacity - memory.used,
            memory_mb_used=memory.used,
            disk_gb_total=row.disk_gb,
            disk_gb_free=disk.capacity - disk.used,
            disk_gb_used=disk.used,
            host_ip=row.host_ip,
            hypervisor_type=row.hypervisor_type,
            hypervisor_version=row.hypervisor_version,
            facts=_facts(row.facts),
            stats=msgspec.json.decode(row.stats, type=HostStats),
        )


def is_up(row: Row, since: dt.datetime) -> bool:
    """Seen since then, and not forced down by an operator."""
    return not row.forced_down and row.last_seen is not None and row.last_seen >= since


def zone_of(aggregates: list[dict[str, str]], default: str) -> str:
    return next((held[ZONE] for held in aggregates if held.get(ZONE)), default)


@lru_cache(maxsize=16384)
def _facts(text: str) -> HostFacts:
    """Facts seldom change, and filters only read them: decoded once."""
    return msgspec.json.decode(text, type=HostFacts)
