"""What `verify` compares of volumes: their rows, and what back ends keep."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec

from kilonova.compute.volumes import AttachmentFacts
from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext
from kilonova.core.errors import KilonovaError, NotFound, ServiceUnavailable
from kilonova.core.service import Core
from kilonova.volume.agent.interface import VolumeAgentAPI
from kilonova.volume.backends.driver import StoredVolume
from kilonova.volume.client import VERSION, VolumeClient
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.models import machine_of, service_of

ANSWERS = 10.0  # seconds
SETTLED = frozenset(
    [
        "available",
        "in-use",
        "reserved",
        "attaching",
        "detaching",
        "awaiting-transfer",
        "error",
        "error_deleting",
        "error_extending",
        "maintenance",
    ]
)
KEPT = frozenset(["available", "in-use", "reserved", "attaching", "detaching", "awaiting-transfer", "maintenance"])
"""Statuses in which a back end has the volume."""


class VolumeFact(msgspec.Struct):
    id: str
    status: str
    pool: str | None


class PoolFact(msgspec.Struct):
    """`volumes`: what the back end keeps, by id; `away`: why it did not answer."""

    name: str
    volumes: dict[str, StoredVolume] = {}
    away: str = ""


class Storage(msgspec.Struct):
    volumes: dict[str, VolumeFact]
    pools: list[PoolFact]
    attachments: list[AttachmentFacts]
    undelivered: list[Undelivered]
    snapshots: set[str] = msgspec.field(default_factory=set)


async def gather(core: Core, ctx: RequestContext) -> Storage | None:
    """None where no volume service answers."""
    if not core.endpoints.get("volume"):
        return None
    http = core.client("volume", "/v3", headers=VERSION)
    try:
        found, snapshots, attachments = await asyncio.gather(
            _all(http, "volumes"), _all(http, "snapshots"), VolumeClient(core).attachments()
        )
        names = await _pools(http)
    except (ServiceUnavailable, NotFound):
        return None
    pools = await asyncio.gather(*(_pool(core, ctx, name, up) for name, up in names.items()))
    undelivered = await core.bus.client(VolumeConductorAPI).undelivered(ctx)
    volumes = {item["id"]: VolumeFact(item["id"], item["status"], item.get("os-vol-host-attr:host")) for item in found}
    return Storage(volumes, list(pools), attachments, undelivered, {item["id"] for item in snapshots})


async def _all(http: Any, noun: str) -> list[dict[str, Any]]:
    """Of all projects."""
    found: list[dict[str, Any]] = []
    marker = ""
    while True:
        page = await http.get(f"/{noun}/detail?all_tenants=1&limit=1000{marker}", dict[str, Any], own=True)
        found += page[noun]
        if f"{noun}_links" not in page:
            return found
        marker = "&marker=" + page[noun][-1]["id"]


async def _pools(http: Any) -> dict[str, bool]:
    """Name → whether its back end is up."""
    pools = await http.get("/scheduler-stats/get_pools", dict[str, Any], own=True)
    services = await http.get("/os-services?binary=cinder-volume", dict[str, Any], own=True)
    up = {service["host"]: service["state"] == "up" for service in services["services"]}
    return {pool["name"]: up.get(service_of(pool["name"]), False) for pool in pools["pools"]}


async def _pool(core: Core, ctx: RequestContext, name: str, up: bool) -> PoolFact:
    if not up:
        return PoolFact(name, away="its agent is down")
    try:
        async with asyncio.timeout(ANSWERS):
            agent = core.bus.client(VolumeAgentAPI, host=machine_of(name))
            return PoolFact(name, {stored.id: stored for stored in await agent.inventory(ctx, name)})
    except KilonovaError as error:
        return PoolFact(name, away=error.message)
    except TimeoutError:
        return PoolFact(name, away=f"no answer within {ANSWERS:g} s")


def differences(storage: Storage) -> Iterator[tuple[str, str, str]]:
    """(where, what, why): volumes that stay busy, that their back end has not, or that only a back end knows, with its snapshots
    and exports."""
    pools = {pool.name: pool for pool in storage.pools}
    for volume in storage.volumes.values():
        label, pool = f"volume {volume.id} ({volume.status})", pools.get(volume.pool or "")
        if volume.status not in SETTLED:
            yield "volume", label, "is busy"
        elif volume.status in KEPT and pool is not None and not pool.away and volume.id not in pool.volumes:
            yield pool.name, label, "its back end does not have it"
    for pool in storage.pools:
        if pool.away:
            yield pool.name, "back end", f"does not answer: {pool.away}"
        for key in sorted(pool.volumes):
            owner = storage.volumes.get(key)
            if owner is None:
                yield pool.name, f"volume {key}", "no volume has this id"
            elif owner.pool != pool.name:
                yield pool.name, f"volume {key}", f"its back end is {owner.pool}"
            else:
                yield from _unexplained(storage, pool.name, pool.volumes[key])


def _unexplained(storage: Storage, pool: str, stored: StoredVolume) -> Iterator[tuple[str, str, str]]:
    for snapshot in stored.snapshots:
        if snapshot not in storage.snapshots:
            yield pool, f"snapshot {snapshot} of volume {stored.id}", "no snapshot has this id"
    known = {attachment.id for attachment in storage.attachments}
    for attachment in stored.attachments:
        if attachment not in known:
            yield pool, f"export of volume {stored.id}", f"no attachment has the id {attachment}"
