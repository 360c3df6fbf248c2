"""Metadata of volumes and snapshots, by the same URLs below each: all, one, set, replace, remove."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.volume.errors import ItemNotFound
from kilonova.volume.resources.base import Deps, Resource, owned
from kilonova.volume.resources.snapshots.logic import SnapshotLogic
from kilonova.volume.resources.snapshots.policies import RULES as SNAPSHOT_RULES
from kilonova.volume.resources.snapshots.routes import ONE as SNAPSHOT
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.resources.volumes.policies import RULES as VOLUME_RULES
from kilonova.volume.resources.volumes.routes import ONE as VOLUME
from kilonova.volume.resources.volumes.schemas import MetaBody, MetadataBody
from kilonova.volume.store import items

Find = Callable[[RequestContext, str], Awaitable[Any]]


class ItemLogic:
    def __init__(self, database: Database, noun: str) -> None:
        self.database, self.noun = database, noun

    async def of(self, owner_id: str) -> dict[str, str]:
        async with self.database.reading() as connection:
            return (await items.of(connection, items.METADATA, [owner_id]))[owner_id]

    @retried
    async def put(self, owner_id: str, pairs: dict[str, str], *, replace: bool) -> dict[str, str]:
        async with self.database.transaction() as tx:
            await items.put(tx.connection, items.METADATA, owner_id, pairs, replace=replace)
            return (await items.of(tx.connection, items.METADATA, [owner_id]))[owner_id]

    @retried
    async def remove(self, owner_id: str, name: str) -> None:
        async with self.database.transaction() as tx:
            if not await items.remove(tx.connection, items.METADATA, owner_id, name):
                raise ItemNotFound(what=f"{self.noun} {owner_id}", name=name)


class Items:
    """`find` gives the volume or snapshot that the caller may see; `key` is the name of its id in paths."""

    def __init__(self, logic: ItemLogic, find: Find, key: str) -> None:
        self.logic, self.find, self.key = logic, find, key

    async def _owner(self, call: Call, at: dict[str, str]) -> str:
        row = await self.find(call.ctx, at[self.key])
        call.authorize(owned(row))
        return str(row.id)

    async def list(self, call: Call, **at: str) -> Reply:
        return Reply(MetadataBody(metadata=await self.logic.of(await self._owner(call, at))))

    async def add(self, call: Call, **at: str) -> Reply:
        asked = await call.decode(MetadataBody)
        found = await self.logic.put(await self._owner(call, at), asked.metadata, replace=False)
        return Reply(MetadataBody(metadata=found))

    async def replace(self, call: Call, **at: str) -> Reply:
        asked = await call.decode(MetadataBody)
        found = await self.logic.put(await self._owner(call, at), asked.metadata, replace=True)
        return Reply(MetadataBody(metadata=found))

    async def show(self, call: Call, name: str, **at: str) -> Reply:
        owner = await self._owner(call, at)
        found = await self.logic.of(owner)
        if name not in found:
            raise ItemNotFound(what=f"{self.logic.noun} {owner}", name=name)
        return Reply(MetaBody(meta={name: found[name]}))

    async def set(self, call: Call, name: str, **at: str) -> Reply:
        asked = await call.decode(MetaBody)
        if [*asked.meta] != [name]:
            raise BadRequest("Request body and URI mismatch: the body has one key, that of the URL")
        await self.logic.put(await self._owner(call, at), asked.meta, replace=False)
        return Reply(MetaBody(meta=asked.meta))

    async def remove(self, call: Call, name: str, **at: str) -> Reply:
        await self.logic.remove(await self._owner(call, at), name)
        return Reply()


@dataclass(frozen=True)
class Rules:
    """Rule names of the verbs."""

    get: str
    create: str
    update: str
    delete: str


SNAPSHOT_ITEMS = Rules(
    "volume:get_snapshot_metadata", "volume:update_snapshot_metadata", "volume:update_snapshot_metadata",
    "volume:delete_snapshot_metadata",
)  # fmt: skip
VOLUME_ITEMS = Rules(
    "volume:get_volume_metadata", "volume:create_volume_metadata", "volume:update_volume_metadata",
    "volume:delete_volume_metadata",
)  # fmt: skip


def _routes(parent: str, at: Items, rules: Rules, what: str) -> list[Route]:
    every, one = f"{parent}/metadata", f"{parent}/metadata/{{name:str}}"
    many, single = MetadataBody, MetaBody
    return [
        Route("GET", every, at.list, rules.get, reply=many, summary=f"List a {what}'s metadata."),
        Route("POST", every, at.add, rules.create, body=many, reply=many, summary=f"Add to a {what}'s metadata."),
        Route("PUT", every, at.replace, rules.update, body=many, reply=many, summary=f"Replace a {what}'s metadata."),
        Route("GET", one, at.show, rules.get, reply=single, summary=f"Show one of a {what}'s metadata."),
        Route("PUT", one, at.set, rules.update, body=single, reply=single, summary=f"Set one of a {what}'s metadata."),
        Route("DELETE", one, at.remove, rules.delete, summary=f"Remove one of a {what}'s metadata."),
    ]


def volume_routes(deps: Deps) -> list[Route]:
    logic = ItemLogic(deps.database, "Volume")
    return _routes(VOLUME, Items(logic, VolumeLogic(deps).get, "volume_id"), VOLUME_ITEMS, "volume")


def snapshot_routes(deps: Deps) -> list[Route]:
    logic = ItemLogic(deps.database, "Snapshot")
    return _routes(SNAPSHOT, Items(logic, SnapshotLogic(deps).get, "snapshot_id"), SNAPSHOT_ITEMS, "snapshot")


VOLUME_METADATA = Resource(volume_routes, VOLUME_RULES)
SNAPSHOT_METADATA = Resource(snapshot_routes, SNAPSHOT_RULES)
