"""Heartbeats of compute hosts. Changes are written at once; the times of heartbeats in batches for all hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.models import HostReport
from kilonova.compute.node_ids import node_uuid
from kilonova.compute.store import hosts as store
from kilonova.core import errors
from kilonova.core.db import retried
from kilonova.placement.resources.providers.schemas import InventoryIn

NODE_FIELDS = (
    "hypervisor_hostname", "vcpus", "memory_mb", "disk_gb", "hypervisor_type", "hypervisor_version", "host_ip",
)  # fmt: skip


WRITTEN_FOR = 60.0  # seconds


class Known(msgspec.Struct):
    """A report that was written, and when (monotonic)."""

    report: HostReport
    at: float


class HostReports:
    """`known` holds what was written of each host last, and when. Another conductor may have written since, so that it
    counts for `WRITTEN_FOR` seconds only."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.known: dict[str, Known] = {}
        self._beats: dict[str, HostReport] = {}
        self._flush: asyncio.Task[None] | None = None

    async def report(self, report: HostReport, *, by: str | None = None) -> None:
        """Raises ServiceUnavailable or Conflict when placement can't take the inventory; the host reports again. Forbidden when
        `by`, the host that the bus has authenticated, reports a node that is not its own."""
        if by is not None and (report.hypervisor_hostname, report.node_uuid) != (by, node_uuid(by)):
            logger.warning("host report refused: the node belongs to another host", sender=by, node=report.node_uuid)
            raise errors.Forbidden(f"Host {by} reported node {report.node_uuid}, which is not its own.")
        known = self.known.get(report.host)
        if known is None or _capacity(known.report) != _capacity(report):
            await self._write(report)
            self._know(report)
            return
        self._beats[report.host] = report
        if self._flush is None or self._flush.done():
            self._flush = asyncio.ensure_future(self._later())

    @retried
    async def _write(self, report: HostReport) -> None:
        deps, now = self.deps, self.deps.now()
        values: dict[str, Any] = {name: getattr(report, name) for name in NODE_FIELDS}
        values |= {
            "uuid": report.node_uuid,
            "facts": msgspec.to_builtins(report.facts),
            "stats": msgspec.to_builtins(report.stats),
        }
        async with deps.database.transaction() as tx:
            uuid = deps.clock.uuid()
            await store.put_service(tx.connection, host=report.host, binary=store.COMPUTE, uuid=uuid, now=now)
            await store.put_node(tx.connection, report.host, values, now)
        await self._provide(report)

    async def _provide(self, report: HostReport) -> None:
        placement = self.deps.placement
        try:
            await placement.ensure_provider(report.node_uuid, report.hypervisor_hostname)
        except errors.Conflict:
            await self._take_over(report)
        await placement.set_inventories(report.node_uuid, inventories(report))

    async def _take_over(self, report: HostReport) -> None:
        """A host made anew under its old name: the old provider goes if nothing is allocated from it."""
        for provider in await self.deps.placement.providers():
            if provider.name == report.hypervisor_hostname and provider.uuid != report.node_uuid:
                logger.warning("host has a new node id", host=report.host, old=provider.uuid, new=report.node_uuid)
                await self.deps.placement.delete_provider(provider.uuid)
        await self.deps.placement.ensure_provider(report.node_uuid, report.hypervisor_hostname)

    async def _later(self) -> None:
        while True:
            await self.deps.clock.sleep(self.deps.options.heartbeat_batch)
            if not self._beats:
                return
            try:
                await self.flush()
            except Exception as error:  # hosts report again
                logger.warning("heartbeats not written", exc_info=error)

    async def flush(self) -> None:
        """Write the heartbeats that came together: one statement, and one more for hosts whose load changed."""
        beats, self._beats = self._beats, {}
        if not beats:
            return
        busier = {host: r for host, r in beats.items() if self._news(r)}
        known = await self._write_beats(beats, busier)
        for report in busier.values():
            self._know(report)
        if known < len(beats):
            self.known.clear()  # a service was deleted; it is created again by its next report

    @retried
    async def _write_beats(self, beats: dict[str, HostReport], busier: dict[str, HostReport]) -> int:
        """How many of the hosts are known."""
        now = self.deps.now()
        async with self.deps.database.transaction() as tx:
            known = await store.seen(tx.connection, list(beats), [store.COMPUTE], now)
            if busier:
                stats = {host: msgspec.to_builtins(r.stats) for host, r in sorted(busier.items())}
                await store.put_stats(tx.connection, stats, now)
        return known

    def _know(self, report: HostReport) -> None:
        self.known[report.host] = Known(report, self.deps.clock.monotonic())

    def _news(self, report: HostReport) -> bool:
        known = self.known.get(report.host)
        return (
            known is None or known.report.stats != report.stats or self.deps.clock.monotonic() - known.at > WRITTEN_FOR
        )

    async def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            await asyncio.gather(self._flush, return_exceptions=True)


def _capacity(report: HostReport) -> HostReport:
    return msgspec.structs.replace(report, stats=None)


def inventories(report: HostReport) -> dict[str, InventoryIn]:
    """What a host gives to placement; no server alone gets more than the host really has."""
    rows = {
        "VCPU": (report.vcpus, report.reserved_vcpus, report.cpu_ratio),
        "MEMORY_MB": (report.memory_mb, report.reserved_memory_mb, report.ram_ratio),
        "DISK_GB": (report.disk_gb, report.reserved_disk_gb, report.disk_ratio),
    }
    return {
        name: InventoryIn(total=total, reserved=min(reserved, total), max_unit=total, allocation_ratio=ratio)
        for name, (total, reserved, ratio) in rows.items()
        if total > 0
    }
