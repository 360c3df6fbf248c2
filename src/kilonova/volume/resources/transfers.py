"""Transfers: a project offers a volume, and whoever knows the key takes it, with its snapshots."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, Transaction, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View, versions
from kilonova.volume import errors
from kilonova.volume.fields import Boolean, Link, Name, Uuid, stripped, truth
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import MEMBER, READER, Deps, Resource, V, links, owned, scope_of
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.store.attachments import ATTACHMENTS
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.transfers import TRANSFERS, TransferRow
from kilonova.volume.store.types import TYPES
from kilonova.volume.store.volumes import VOLUMES, VolumeRow
from kilonova.volume.times import shown

RULES = {
    "volume:create_transfer": MEMBER, "volume:accept_transfer": MEMBER, "volume:delete_transfer": MEMBER,
    "volume:get_transfer": READER, "volume:get_all_transfers": READER,
}  # fmt: skip
OFFERED = "awaiting-transfer"
LIST = Listing(
    filters={"id": "id", "name": "name", "volume_id": "volume_id"},
    sort={name: name for name in ("id", "name", "created_at", "volume_id")},
)


class TransferNew(View, kw_only=True):
    volume_id: Uuid
    name: Name | None = None
    no_snapshots: Annotated[Boolean | UnsetType, versions("3.55")] = UNSET


class TransferCreate(View, kw_only=True):
    transfer: TransferNew


class Key(View, kw_only=True):
    auth_key: str


class AcceptBody(View, kw_only=True):
    accept: Key


class TransferView(View, kw_only=True):
    """`auth_key` is shown once, to whom creates it."""

    id: str
    volume_id: str
    name: str | None
    links: list[Link]
    created_at: str | UnsetType = UNSET
    auth_key: str | UnsetType = UNSET
    no_snapshots: Annotated[bool | UnsetType, versions("3.55")] = UNSET
    source_project_id: Annotated[str | UnsetType | None, versions("3.57")] = UNSET
    destination_project_id: Annotated[str | UnsetType | None, versions("3.57")] = UNSET
    accepted: Annotated[bool | UnsetType, versions("3.57")] = UNSET


class TransferBody(View, kw_only=True):
    transfer: TransferView


class Transfers(View, kw_only=True):
    transfers: list[TransferView]
    transfers_links: list[Link] | UnsetType = UNSET


class TransferLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.clock = deps, deps.clock
        self.database: Database = deps.database
        self.volumes = VolumeLogic(deps)

    async def find(
        self, connection: Connection, ctx: RequestContext, transfer_id: str, *, own: bool = True
    ) -> TransferRow:
        """`own`: of the caller's project; to accept one, its id and key are enough."""
        row = await TRANSFERS.get(connection, transfer_id, lock=not own)
        if row is None or (own and scope_of(ctx) not in (None, row.project_id)):
            raise errors.TransferNotFound(transfer_id=transfer_id)
        return row

    async def get(self, ctx: RequestContext, transfer_id: str) -> TransferRow:
        async with self.database.reading() as connection:
            return await self.find(connection, ctx, transfer_id)

    async def page(self, ctx: RequestContext, query: ListQuery) -> Sequence[TransferRow]:
        if not query.all_projects:
            query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            rows = await TRANSFERS.page(connection, query)
        if rows is None:
            raise errors.TransferNotFound(transfer_id=query.marker)
        return rows

    @retried
    async def create(
        self, ctx: RequestContext, volume_id: str, name: str | None, *, no_snapshots: bool
    ) -> tuple[TransferRow, str]:
        """(the transfer, its key)."""
        key, salt, transfer_id = self.clock.secret(12), self.clock.secret(6), self.clock.uuid()
        async with self.database.transaction() as tx:
            volume = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if volume.status != "available":
                raise errors.InvalidVolume(reason="status must be available")
            await _must_be_unused(tx.connection, volume.id)
            if no_snapshots and await SNAPSHOTS.find(tx.connection, volume_id=volume.id):
                raise errors.InvalidVolume(reason="it has snapshots, which would stay behind")
            await VOLUMES.change(tx.connection, volume.id, {"status": OFFERED})
            await TRANSFERS.add(
                tx.connection, id=transfer_id, volume_id=volume.id, name=name, salt=salt, key_hash=_hash(salt, key),
                project_id=volume.project_id, no_snapshots=no_snapshots, created_at=self.clock.row_time(),
            )  # fmt: skip
            return await self.find(tx.connection, ctx, transfer_id), key

    @retried
    async def delete(self, row: TransferRow) -> None:
        async with self.database.transaction() as tx:
            await TRANSFERS.remove(tx.connection, row.id)
            await VOLUMES.change(tx.connection, row.volume_id, {"status": "available"}, status=OFFERED)

    @retried
    async def accept(self, ctx: RequestContext, transfer_id: str, key: str) -> TransferRow:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, transfer_id, own=False)
            if not hmac.compare_digest(row.key_hash, _hash(row.salt, key)):
                raise errors.InvalidInput(reason=f"Attempt to transfer {transfer_id} with invalid auth key.")
            volume = await VOLUMES.get(tx.connection, row.volume_id, lock=True)
            if volume is None or volume.status != OFFERED:
                raise errors.InvalidVolume(reason=f"Volume {row.volume_id} is not offered any more.")
            await _must_be_unused(tx.connection, volume.id)
            await self._take(tx, ctx, volume)
            await TRANSFERS.remove(tx.connection, row.id)
        return row

    async def _take(self, tx: Transaction, ctx: RequestContext, volume: VolumeRow) -> None:
        """The volume and its snapshots become the caller's project's, within its quota."""
        taken = await SNAPSHOTS.find(tx.connection, volume_id=volume.id)
        kind = await TYPES.get(tx.connection, volume.type_id)
        project, name, quotas = str(ctx.project_id), kind.name if kind else "", self.volumes.quotas
        size = volume.size + sum(snapshot.size for snapshot in taken)
        await quotas.check_volumes(tx.connection, project, name, number=1, size=size)
        await quotas.check_snapshots(tx.connection, project, name, number=len(taken), size=0)
        owner = {"project_id": project, "user_id": ctx.user_id or ""}
        now = self.clock.row_time()
        await VOLUMES.change(tx.connection, volume.id, owner | {"status": "available", "updated_at": now})
        for snapshot in taken:
            await SNAPSHOTS.change(tx.connection, snapshot.id, owner | {"updated_at": now})


async def _must_be_unused(connection: Connection, volume_id: str) -> None:
    """A machine with a connection, which does not change an available volume's status, would read and write what the new owner
    keeps there."""
    if await ATTACHMENTS.find(connection, volume_id=volume_id):
        raise errors.InvalidVolume(
            reason=f"Volume {volume_id} has a connection to a host: it must be terminated before"
        )


def _hash(salt: str, key: str) -> str:
    return hashlib.sha256(f"{salt} {key}".encode()).hexdigest()


class TransferHandlers:
    def __init__(self, logic: TransferLogic) -> None:
        self.logic = logic

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(TransferCreate)).transfer
        volume = await self.logic.volumes.get(call.ctx, asked.volume_id)
        call.authorize(owned(volume))
        alone = not isinstance(asked.no_snapshots, UnsetType) and truth(asked.no_snapshots)
        row, key = await self.logic.create(call.ctx, volume.id, stripped(asked.name), no_snapshots=alone)
        view = _view(call, row, full=True)
        view.auth_key = key
        return Reply(TransferBody(transfer=view))

    async def list(self, call: Call) -> Reply:
        return await self._page(call, "", full=False)

    async def detail(self, call: Call) -> Reply:
        return await self._page(call, "/detail", full=True)

    async def _page(self, call: Call, end: str, *, full: bool) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        rows = await self.logic.page(call.ctx, query)
        view = Transfers(transfers=[_view(call, row, full=full) for row in rows])
        view.transfers_links = next_page(call, query, f"/{_place(call)}{end}", view.transfers) or UNSET
        return Reply(view)

    async def show(self, call: Call, transfer_id: str) -> Reply:
        row = await self.logic.get(call.ctx, transfer_id)
        call.authorize(owned(row))
        return Reply(TransferBody(transfer=_view(call, row, full=True)))

    async def delete(self, call: Call, transfer_id: str) -> Reply:
        row = await self.logic.get(call.ctx, transfer_id)
        call.authorize(owned(row))
        await self.logic.delete(row)
        return Reply()

    async def accept(self, call: Call, transfer_id: str) -> Reply:
        asked = await call.decode(AcceptBody)
        row = await self.logic.accept(call.ctx, transfer_id, asked.accept.auth_key)
        return Reply(TransferBody(transfer=_view(call, row, full=False)))


def _place(call: Call) -> str:
    """Transfers have two URLs; links lead back to that which was asked."""
    return "volume-transfers" if "/volume-transfers" in call.request.url.path else "os-volume-transfer"


def _view(call: Call, row: TransferRow, *, full: bool) -> TransferView:
    view = TransferView(id=row.id, volume_id=row.volume_id, name=row.name, links=links(call, _place(call), row.id))
    if full:
        view.created_at, view.no_snapshots = shown(row.created_at) or "", bool(row.no_snapshots)
        view.source_project_id, view.destination_project_id, view.accepted = row.project_id, None, False
    return view


def routes(deps: Deps) -> list[Route]:
    at = TransferHandlers(TransferLogic(deps))
    found: list[Route] = []
    for noun, since in (("os-volume-transfer", None), ("volume-transfers", "3.55")):
        every, one = f"{V}/{noun}", f"{V}/{noun}/{{transfer_id:str}}"
        rows: list[tuple[Any, ...]] = [
            ("POST", every, at.create, "volume:create_transfer", 202, TransferCreate, TransferBody, "Offer a volume."),
            ("GET", every, at.list, "volume:get_all_transfers", 200, None, Transfers, "List the volumes on offer, in brief."),
            ("GET", f"{every}/detail", at.detail, "volume:get_all_transfers", 200, None, Transfers, "List what is on offer."),
            ("GET", one, at.show, "volume:get_transfer", 200, None, TransferBody, "Show a transfer."),
            ("DELETE", one, at.delete, "volume:delete_transfer", 202, None, None, "Take an offer back."),
            ("POST", f"{one}/accept", at.accept, "volume:accept_transfer", 202, AcceptBody, TransferBody, "Take a volume."),
        ]  # fmt: skip
        found += [
            Route(method, path, handler, rule, status, since=since, body=body, reply=reply, summary=summary)
            for method, path, handler, rule, status, body, reply, summary in rows
        ]
    return found


TRANSFERS_RESOURCE = Resource(routes, RULES)
