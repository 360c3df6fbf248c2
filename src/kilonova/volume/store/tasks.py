"""SQL of tasks: what back ends have to do, from the request until it is done or given up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import delete, or_, select

from kilonova.core.db import Connection, rows
from kilonova.volume.store.base import KeyRow, Rows
from kilonova.volume.tables import tasks


class TaskRow(KeyRow):
    """`host` is HOST@BACKEND#POOL once it is chosen; `order`, `request` and `tried` are JSON."""

    work: str
    subject_id: str
    host: str | None
    order: str
    request: str
    tried: str
    created_at: dt.datetime
    sent_at: dt.datetime | None


TASKS = Rows(tasks, TaskRow)


async def of_machine(connection: Connection, machine: str) -> Sequence[TaskRow]:
    """What the back ends of a machine were sent."""
    mine = tasks.c.host.startswith(f"{machine}@", autoescape=True)
    query = select(tasks).where(mine, tasks.c.sent_at.is_not(None)).order_by(tasks.c.created_at, tasks.c.id)
    return rows.every(await connection.execute(query), TaskRow)


async def waiting(connection: Connection, before: dt.datetime) -> Sequence[TaskRow]:
    """Tasks that are older than that: unsent, or sent."""
    old = or_(tasks.c.sent_at < before, tasks.c.sent_at.is_(None))
    query = select(tasks).where(tasks.c.created_at < before, old).order_by(tasks.c.created_at, tasks.c.id)
    return rows.every(await connection.execute(query), TaskRow)


async def drop(connection: Connection, subject_id: str) -> None:
    """Nothing is to be done any more with what this is."""
    await connection.execute(delete(tasks).where(tasks.c.subject_id == subject_id))
