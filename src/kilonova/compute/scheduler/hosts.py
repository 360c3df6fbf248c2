"""What the scheduler knows of the hosts: rows of compute and summaries of placement as HostStates."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from kilonova.compute.models import HostFacts, HostState, HostStats
from kilonova.compute.scheduler.candidates import Hosts
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.store import hosts as store
from kilonova.compute.store.hosts import AggregateRow, HostRow, SeenRow, SignOfLife
from kilonova.core.batching import Coalesced
from kilonova.core.clock import Clock
from kilonova.core.db import Database
from kilonova.placement.client import PlacementClient
from kilonova.placement.resources.providers.schemas import ClassUsage, ProviderSummary

NOTHING = ClassUsage(capacity=0, used=0)
ZONE = "availability_zone"
WHOLE_EVERY, LIVENESS_EVERY = 60.0, 5.0  # seconds between two readings of everything, of all hosts' last sign of life
SLACK = 2.0  # seconds by which clocks may differ, and which a commit may take
MOST_DOWN = 200
Usage = dict[str, ClassUsage]


class HostReader:
    """Keeps what is known of all hosts: read whole at first and now and then, in between by what changed. That another one's
    change is seen late costs a claim that is refused, never room that is not there: then all is read anew.

    Requests that come together share one look."""

    def __init__(self, database: Database, placement: PlacementClient, options: SchedulerOptions, clock: Clock) -> None:
        self.database, self.placement, self.options, self.clock = database, placement, options, clock
        self.hosts = Hosts()
        self._rows: dict[str, HostRow] = {}
        self._seen: dict[str, SeenRow] = {}
        self._usages: dict[str, Usage] = {}
        self._provided: dict[str, str] = {}  # provider → host
        self._aggregates: dict[str, list[dict[str, str]]] = {}
        self._down: set[str] = set()  # may come back any time: looked at every time
        self._version: tuple[Any, ...] = ()
        self._read_at = self._whole_at = self._seen_at = -math.inf
        self.shared = Coalesced(self._current)
        """Hosts as they are after this call, shared with callers that see what is claimed from them. In the order in which
        the hosts became known."""

    async def _current(self) -> Hosts:
        if self.clock.monotonic() - self._whole_at > WHOLE_EVERY:
            await self._read_whole()
        else:
            await self._read_news()
        return self.hosts

    async def fresh(self) -> Hosts:
        """Everything anew, for the caller alone."""
        await self._read_whole()
        return Hosts(self.hosts.values())

    async def _read_whole(self) -> None:
        began = self.clock.monotonic()
        async with self.database.reading() as connection:
            rows = await store.states(connection)
            version = await store.aggregates_version(connection)
            memberships = await store.aggregate_metadata(connection)
        summaries = await self.placement.summaries()
        self._rows, self._seen, self._usages, self._provided, self._down = {}, {}, {}, {}, set()
        self._take(rows, summaries)
        self._take_aggregates(version, memberships)
        self.hosts = Hosts()
        self._build(self._rows)
        self._read_at = self._whole_at = self._seen_at = began

    async def _read_news(self) -> None:
        """Rows that changed since the last look, and a little before: clocks differ, and commits come late."""
        began = self.clock.monotonic()
        within = began - self._read_at + SLACK
        since = self.clock.row_time() - dt.timedelta(seconds=within)
        async with self.database.reading() as connection:
            rows = await store.states(connection, since=since, also=sorted(self._down)[:MOST_DOWN])
            version = await store.aggregates_version(connection)
            moved = await store.aggregate_metadata(connection) if version != self._version else None
            seen = await store.last_seen(connection) if began - self._seen_at > LIVENESS_EVERY else None
        changed = self._take(rows, await self.placement.summaries(within))
        if moved is not None:
            self._take_aggregates(version, moved)
            changed = set(self._rows)
        if seen is not None:
            changed |= self._take_seen(seen)
            self._seen_at = began
        self._build(changed)
        self._read_at = began

    def _take(self, rows: Sequence[HostRow], summaries: Sequence[ProviderSummary]) -> set[str]:
        """Take in rows and summaries; the names of the hosts that they change."""
        changed = set()
        for row in rows:
            self._rows[row.host] = self._seen[row.host] = row
            self._provided[row.uuid] = row.host
            changed.add(row.host)
        for summary in summaries:
            self._usages[summary.uuid] = summary.resources
            if summary.uuid in self._provided:
                changed.add(self._provided[summary.uuid])
        return changed

    def _take_aggregates(self, version: tuple[Any, ...], memberships: Sequence[AggregateRow]) -> None:
        found: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row in memberships:
            found[row.host].append(row.metadata)
        self._version, self._aggregates = version, found

    def _take_seen(self, seen: Mapping[str, SeenRow]) -> set[str]:
        """Hosts whose heartbeats stopped or came back; a host that was deleted is removed."""
        if gone := self._rows.keys() - seen.keys():
            for host in gone:
                del self._rows[host], self._seen[host]
                self._down.discard(host)
            self.hosts = Hosts(state for state in self.hosts.values() if state.host not in gone)
        since, changed = self._since(), set()
        for host, state in self.hosts.items():
            held = self._seen[host] = seen[host]
            if is_up(held, since) != state.up:
                changed.add(host)
        return changed

    def _build(self, names: Iterable[str]) -> None:
        since = self._since()
        for name in names:
            if (row := self._rows.get(name)) is not None:
                state = self._state(row, since)
                self.hosts.put(state)
                (self._down.discard if state.up else self._down.add)(name)

    def _since(self) -> dt.datetime:
        return self.clock.row_time() - dt.timedelta(seconds=self.options.service_down_time)

    def _state(self, row: HostRow, since: dt.datetime) -> HostState:
        usage, aggregates = self._usages.get(row.uuid, {}), self._aggregates.get(row.host, [])
        vcpu, memory = usage.get("VCPU", NOTHING), usage.get("MEMORY_MB", NOTHING)
        disk = usage.get("DISK_GB", NOTHING)
        return HostState(
            host=row.host,
            node=row.hypervisor_hostname,
            node_uuid=row.uuid,
            enabled=not row.disabled,
            up=is_up(self._seen[row.host], since),
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


def is_up(row: SignOfLife, since: dt.datetime) -> bool:
    """Seen since then, and not forced down by an operator."""
    return not row.forced_down and row.last_seen is not None and row.last_seen >= since


def zone_of(aggregates: list[dict[str, str]], default: str) -> str:
    return next((held[ZONE] for held in aggregates if held.get(ZONE)), default)


@lru_cache(maxsize=16384)
def _facts(text: str) -> HostFacts:
    """Facts seldom change, and filters only read them: decoded once."""
    return msgspec.json.decode(text, type=HostFacts)
