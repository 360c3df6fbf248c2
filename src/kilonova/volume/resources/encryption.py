"""The encryption that a volume type asks for. It is kept; volumes of such a type are refused as long as no back end has it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View
from kilonova.volume import errors
from kilonova.volume.resources.base import OPERATOR, READER, Deps, Resource, V, owned
from kilonova.volume.resources.types.logic import TypeLogic
from kilonova.volume.resources.types.routes import ONE as TYPE
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.store import encryption as store
from kilonova.volume.store import types
from kilonova.volume.store.encryption import EncryptionRow
from kilonova.volume.times import shown

E = "volume_extension:volume_type_encryption"
METADATA = "volume_extension:volume_encryption_metadata"
RULES = {f"{E}:{verb}": OPERATOR for verb in ("create", "get", "update", "delete")} | {METADATA: READER}
Location = Literal["front-end", "back-end"]
KeySize = Annotated[int, Meta(ge=0, le=2147483647)]
Text = Annotated[str, Meta(max_length=255)]
Provider = Annotated[str, Meta(min_length=1, max_length=255)]


class EncryptionNew(Body, kw_only=True):
    provider: Provider
    control_location: Location
    cipher: Text | None = None
    key_size: KeySize | None = None


class EncryptionCreate(Body, kw_only=True):
    encryption: EncryptionNew


class EncryptionChange(Body, kw_only=True):
    provider: Provider | UnsetType = UNSET
    control_location: Location | UnsetType = UNSET
    cipher: Text | UnsetType | None = UNSET
    key_size: KeySize | UnsetType | None = UNSET


class EncryptionUpdate(Body, kw_only=True):
    encryption: EncryptionChange


class EncryptionView(View, kw_only=True):
    """All UNSET: the type asks for none."""

    volume_type_id: str | UnsetType = UNSET
    encryption_id: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    control_location: str | UnsetType = UNSET
    cipher: str | UnsetType | None = UNSET
    key_size: int | UnsetType | None = UNSET
    created_at: str | UnsetType | None = UNSET
    updated_at: str | UnsetType | None = UNSET
    deleted_at: str | UnsetType | None = UNSET
    deleted: bool | UnsetType = UNSET


class EncryptionBody(View, kw_only=True):
    encryption: EncryptionView


class EncryptionLogic:
    def __init__(self, deps: Deps) -> None:
        self.types, self.clock = TypeLogic(deps), deps.clock
        self.database: Database = deps.database

    async def get(self, ctx: RequestContext, type_id: str) -> EncryptionRow | None:
        async with self.database.reading() as connection:
            kind = await self.types.find(connection, ctx, type_id)
            return await store.get(connection, kind.id)

    @retried
    async def create(self, ctx: RequestContext, type_id: str, asked: EncryptionNew) -> EncryptionRow:
        async with self.database.transaction() as tx:
            kind = await self.types.find(tx.connection, ctx, type_id)
            if await store.get(tx.connection, kind.id) is not None:
                raise errors.EncryptionExists(type_id=type_id)
            if await types.in_use(tx.connection, kind.id):
                raise errors.InvalidInput(reason="Cannot create encryption specs. Volume type in use.")
            given = {name: getattr(asked, name) for name in EncryptionNew.__struct_fields__}
            now = self.clock.row_time()
            await store.add(tx.connection, type_id=kind.id, encryption_id=self.clock.uuid(), created_at=now, **given)
            row = await store.get(tx.connection, kind.id)
        if row is None:
            raise errors.EncryptionNotFound(type_id=type_id)
        return row

    @retried
    async def change(
        self, ctx: RequestContext, type_id: str, encryption_id: str, asked: EncryptionChange | None
    ) -> None:
        """None: remove it."""
        async with self.database.transaction() as tx:
            kind = await self.types.find(tx.connection, ctx, type_id)
            row = await store.get(tx.connection, kind.id)
            if row is None or row.encryption_id != encryption_id:
                raise errors.EncryptionNotFound(type_id=type_id)
            if await types.in_use(tx.connection, kind.id):
                raise errors.InvalidInput(reason="Cannot change encryption specs. Volume type in use.")
            if asked is None:
                await store.remove(tx.connection, kind.id)
                return
            given = {name: getattr(asked, name) for name in EncryptionChange.__struct_fields__}
            values = {name: value for name, value in given.items() if value is not UNSET}
            await store.change(tx.connection, kind.id, values | {"updated_at": self.clock.row_time()})


class EncryptionHandlers:
    def __init__(self, logic: EncryptionLogic, volumes: VolumeLogic) -> None:
        self.logic, self.volumes = logic, volumes

    async def show(self, call: Call, type_id: str) -> Reply:
        row = await self.logic.get(call.ctx, type_id)
        if row is None:
            return Reply(EncryptionView())
        view = _view(row)
        view.created_at, view.updated_at = shown(row.created_at), shown(row.updated_at)
        view.deleted_at, view.deleted = None, False
        return Reply(view)

    async def show_one(self, call: Call, type_id: str, name: str) -> Reply:
        row = await self.logic.get(call.ctx, type_id)
        if row is None or name not in (*EncryptionNew.__struct_fields__, "encryption_id"):
            raise errors.EncryptionNotFound(type_id=type_id)
        return Reply({name: getattr(row, name)})

    async def create(self, call: Call, type_id: str) -> Reply:
        asked = (await call.decode(EncryptionCreate)).encryption
        return Reply(EncryptionBody(encryption=_view(await self.logic.create(call.ctx, type_id, asked))))

    async def update(self, call: Call, type_id: str, name: str) -> Reply:
        asked = (await call.decode(EncryptionUpdate)).encryption
        await self.logic.change(call.ctx, type_id, name, asked)
        given = {field: getattr(asked, field) for field in EncryptionChange.__struct_fields__}
        return Reply(EncryptionBody(encryption=EncryptionView(**given)))

    async def delete(self, call: Call, type_id: str, name: str) -> Reply:
        await self.logic.change(call.ctx, type_id, name, None)
        return Reply()

    async def of_volume(self, call: Call, volume_id: str) -> Reply:
        """None is encrypted as yet."""
        call.authorize(owned(await self.volumes.get(call.ctx, volume_id)))
        return Reply({"encryption_key_id": None})


def _view(row: EncryptionRow) -> EncryptionView:
    return EncryptionView(
        volume_type_id=row.type_id, encryption_id=row.encryption_id, provider=row.provider,
        control_location=row.control_location, cipher=row.cipher, key_size=row.key_size,
    )  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    at = EncryptionHandlers(EncryptionLogic(deps), VolumeLogic(deps))
    every, one, body = f"{TYPE}/encryption", f"{TYPE}/encryption/{{name:str}}", EncryptionBody
    plain = dict[str, str | int | None]
    return [
        Route("GET", every, at.show, f"{E}:get", reply=EncryptionView, summary="Show what encryption a type asks for."),
        Route("POST", every, at.create, f"{E}:create", body=EncryptionCreate, reply=body,
            summary="Let a type ask for encryption."),
        Route("GET", one, at.show_one, f"{E}:get", reply=plain, summary="Show one value of it."),
        Route("PUT", one, at.update, f"{E}:update", body=EncryptionUpdate, reply=body, summary="Change it."),
        Route("DELETE", one, at.delete, f"{E}:delete", 202, summary="Let a type ask for no encryption any more."),
        Route(
            "GET", f"{V}/volumes/{{volume_id:str}}/encryption", at.of_volume, METADATA, reply=dict[str, str | None],
            summary="Show how a volume is encrypted.",
        ),
    ]  # fmt: skip


ENCRYPTION = Resource(routes, RULES)
