"""SQL that removes deleted servers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import delete, select

from kilonova.compute.tables import decisions, migrations, server_actions, server_faults, servers, step_reports
from kilonova.core.db import Connection
from kilonova.core.db.locks import locked

HISTORY = (server_actions, step_reports, decisions, server_faults, migrations)
"""Tables whose rows name a server by its uuid, and are removed with it."""


async def forget(connection: Connection, before: dt.datetime, *, limit: int) -> int:
    """Remove servers that were deleted before then, the oldest first, with their history; how many they were."""
    gone = select(servers.c.uuid).where(servers.c.deleted != 0, servers.c.deleted_at < before)
    query = gone.order_by(servers.c.deleted_at, servers.c.id).limit(limit)
    uuids: Sequence[str] = (await connection.execute(locked(query))).scalars().all()
    if uuids:
        for table in HISTORY:
            await connection.execute(delete(table).where(table.c.server_uuid.in_(uuids)))
        await connection.execute(delete(servers).where(servers.c.uuid.in_(uuids)))
    return len(uuids)
