"""The record that a move begins with."""

from __future__ import annotations

from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import Move
from kilonova.compute.resources.server_actions.logic import sender
from kilonova.compute.store import migrations
from kilonova.compute.store.servers import ServerRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction


async def begin_move(tx: Transaction, ctx: RequestContext, clock: Clock, row: ServerRow, move: Move) -> None:
    """Write it down, and hand the server on to the conductor."""
    moment = clock.row_time()
    record = {
        "uuid": move.migration, "server_uuid": row.uuid, "type": move.kind, "status": migrations.ACCEPTED,
        "request_id": ctx.request_id, "source_compute": move.source, "source_node": row.node, "dest_compute": move.target,
        "user_id": ctx.user_id, "project_id": ctx.project_id, "document": migrations.encode(move),
        "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    await migrations.add(tx.connection, record)
    await tx.outbox(ConductorAPI).move_server(sender(ctx), row.uuid, move.migration)
