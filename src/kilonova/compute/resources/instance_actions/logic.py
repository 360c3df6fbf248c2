"""What was done to a server, step by step, and why it is where it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from kilonova.compute import models
from kilonova.compute.errors import UnknownMarker
from kilonova.compute.resources.instance_actions import errors
from kilonova.compute.resources.servers.logic import owned
from kilonova.compute.store import actions as store
from kilonova.compute.store import decisions as decision_store
from kilonova.compute.store import steps
from kilonova.compute.store.actions import ActionRow
from kilonova.compute.store.decisions import DecisionRow
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Database


class HistoryLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def actions(
        self, ctx: RequestContext, server_id: str, *, deleted: bool, limit: int, marker: str | None,
        since: dt.datetime | None, before: dt.datetime | None,
    ) -> Sequence[ActionRow]:  # fmt: skip
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id, deleted=deleted)
            if marker is not None and await store.of_request(connection, row.uuid, marker) is None:
                raise UnknownMarker(marker=marker)
            return await store.of_server(connection, row.uuid, limit=limit, marker=marker, since=since, before=before)

    async def action(
        self, ctx: RequestContext, server_id: str, request_id: str, *, deleted: bool
    ) -> tuple[ServerRow, ActionRow, Sequence[models.StepRecord]]:
        """(server, action, steps in the order they began)."""
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id, deleted=deleted)
            action = await store.of_request(connection, row.uuid, request_id)
            if action is None:
                raise errors.ActionNotFound(request_id=request_id, server_id=server_id)
            return row, action, await steps.of_request(connection, row.uuid, request_id)

    async def decisions(
        self, ctx: RequestContext, server_id: str, *, limit: int = 10
    ) -> list[tuple[DecisionRow, models.Decision]]:
        """(row, decision), newest first; deleted servers have them too."""
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id, deleted=True)
            rows = await decision_store.latest(connection, row.uuid, limit=limit)
        return [(found, msgspec.msgpack.decode(found.decision, type=models.Decision)) for found in rows]
