"""Rules of quotas: what a project may have, counted in the transaction that adds to it, so that requests of one moment together
never pass a limit."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kilonova.core.db import Connection
from kilonova.volume import errors
from kilonova.volume.options import VolumeOptions, VolumeQuotas
from kilonova.volume.store import backups
from kilonova.volume.store import quotas as store
from kilonova.volume.store.types import TYPES

PER_TYPE = ("volumes", "gigabytes", "snapshots")
"""Each of them also as `volumes_TYPE`: a limit on volumes of one type, which there is none of by default."""
PLAIN = VolumeQuotas.__struct_fields__


class Usage(msgspec.Struct):
    """Resource → how much of it a project has."""

    used: dict[str, int]

    def add(self, resource: str, amount: int) -> None:
        self.used[resource] = self.used.get(resource, 0) + amount


class Quotas:
    def __init__(self, options: VolumeOptions) -> None:
        self.options = options

    async def class_limits(self, connection: Connection, name: str = "default") -> dict[str, int]:
        """The limits of a quota class; the default one's are those of all projects without their own."""
        known = {resource: int(getattr(self.options.quotas, resource)) for resource in PLAIN}
        known |= {f"{resource}_{row.name}": -1 for row in await TYPES.find(connection) for resource in PER_TYPE}
        return known | await store.limits(connection, f"class:{name}")

    async def limits(self, connection: Connection, project_id: str) -> dict[str, int]:
        known = await self.class_limits(connection)
        own = await store.limits(connection, f"project:{project_id}")
        return known | {name: amount for name, amount in own.items() if name in known}

    async def usage(self, connection: Connection, project_id: str) -> Usage:
        found = Usage(dict.fromkeys(PLAIN, 0))
        names = {row.id: row.name for row in await TYPES.find(connection)}
        for type_id, (number, size) in (await store.volumes_of(connection, project_id)).items():
            _count(found, names.get(type_id), "volumes", number, size)
        for type_id, (number, size) in (await store.snapshots_of(connection, project_id)).items():
            _count(found, names.get(type_id), "snapshots", number, size)
        found.used["backups"], found.used["backup_gigabytes"] = await backups.usage(connection, project_id)
        return found

    async def check_backups(self, connection: Connection, project_id: str, *, size: int) -> None:
        """That the project may have one backup more, of so many GiB."""
        await store.turn(connection, project_id)
        limits, usage = await self.limits(connection, project_id), await self.usage(connection, project_id)
        if _over(limits, usage, "backups", 1):
            raise errors.BackupQuotaExceeded(limit=limits["backups"])
        _check_size(limits, usage, ("backup_gigabytes",), size)

    async def check_volumes(
        self, connection: Connection, project_id: str, type_name: str, *, number: int = 0, size: int = 0, each: int | None = None
    ) -> None:  # fmt: skip
        """That the project may have so many volumes and GiB more; `each`: GiB of the one volume."""
        await store.turn(connection, project_id)
        limits, usage = await self.limits(connection, project_id), await self.usage(connection, project_id)
        one = limits["per_volume_gigabytes"]
        if each is not None and 0 <= one < each:
            raise errors.OneVolumeTooLarge(asked=each, limit=one)
        for name in ("volumes", f"volumes_{type_name}") if number else ():
            if _over(limits, usage, name, number):
                raise errors.VolumeQuotaExceeded(limit=limits[name], name=name)
        _check_size(limits, usage, ("gigabytes", f"gigabytes_{type_name}"), size)

    async def check_retype(self, connection: Connection, project_id: str, type_name: str, *, size: int) -> None:
        """That one volume more may be of this type; the project's own number and size stay as they are."""
        await store.turn(connection, project_id)
        limits, usage = await self.limits(connection, project_id), await self.usage(connection, project_id)
        if _over(limits, usage, f"volumes_{type_name}", 1):
            raise errors.VolumeQuotaExceeded(limit=limits[f"volumes_{type_name}"], name=f"volumes_{type_name}")
        _check_size(limits, usage, (f"gigabytes_{type_name}",), size)

    async def check_snapshots(
        self, connection: Connection, project_id: str, type_name: str | None, *, number: int, size: int
    ) -> None:
        await store.turn(connection, project_id)
        limits, usage = await self.limits(connection, project_id), await self.usage(connection, project_id)
        for name in ("snapshots", f"snapshots_{type_name}"):
            if _over(limits, usage, name, number):
                raise errors.SnapshotQuotaExceeded(limit=limits[name])
        _check_size(limits, usage, ("gigabytes", f"gigabytes_{type_name}"), size)


def _count(usage: Usage, type_name: str | None, resource: str, number: int, size: int) -> None:
    usage.add(resource, number)
    usage.add("gigabytes", size)
    if type_name is not None:
        usage.add(f"{resource}_{type_name}", number)
        usage.add(f"gigabytes_{type_name}", size)


def _over(limits: dict[str, int], usage: Usage, name: str, more: int) -> bool:
    limit = limits.get(name, -1)
    return limit >= 0 and usage.used.get(name, 0) + more > limit


def _check_size(limits: dict[str, int], usage: Usage, names: Iterable[str], size: int) -> None:
    for name in names if size > 0 else ():
        if _over(limits, usage, name, size):
            raise errors.SizeQuotaExceeded(name=name, asked=size, limit=limits[name], used=usage.used.get(name, 0))
