"""SQL of what projects used: servers that ran within a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select

from kilonova.compute.tables import servers
from kilonova.core.db import Connection, TypedRow, rows


class UsageRow(TypedRow):
    uuid: str
    name: str
    project_id: str
    flavor: dict[str, Any]
    vcpus: int
    memory_mb: int
    vm_state: str
    launched_at: dt.datetime
    terminated_at: dt.datetime | None


async def between(
    connection: Connection, start: dt.datetime, end: dt.datetime, *, project_id: str | None, limit: int | None,
    marker: str | None,
) -> Sequence[UsageRow]:  # fmt: skip
    """Servers, living and gone, that ran at some time from `start` to `end`, by uuid, after the one of `marker`."""
    s = servers.c
    query = select(
        s.uuid, s.name, s.project_id, s.flavor, s.vcpus, s.memory_mb, s.vm_state, s.launched_at, s.terminated_at
    ).where(s.launched_at < end, or_(s.terminated_at.is_(None), s.terminated_at > start))
    if project_id is not None:
        query = query.where(s.project_id == project_id)
    if marker is not None:
        query = query.where(s.uuid > marker)
    return rows.every(await connection.execute(query.order_by(s.uuid).limit(limit)), UsageRow)
