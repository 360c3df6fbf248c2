"""SQL of launch steps, as components report them: a report may come twice, and a step's end after its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import mysql, postgresql, sqlite

from kilonova.compute.models import StepRecord
from kilonova.compute.store.actions import step_row
from kilonova.compute.tables import server_steps
from kilonova.core.db import Connection, Row

ENDING = ("finished_at", "result", "detail")


async def put(connection: Connection, steps: Sequence[StepRecord]) -> None:
    """Insert what is new and note the end of what had none, in one statement; a step that ended stays as it is."""
    newest = {step.key: step for step in steps}
    for step in steps:
        if step.finished_at is not None:
            newest[step.key] = step
    if newest:
        rows = [step_row(step) for step in newest.values()]
        await connection.execute(_upsert(connection.dialect.name), rows)


@cache
def _upsert(dialect: str) -> Any:
    table = server_steps.c
    if dialect == "mysql":
        statement = mysql.insert(server_steps)
        kept = {n: func.if_(table.finished_at.is_(None), statement.inserted[n], table[n]) for n in reversed(ENDING)}
        return statement.on_duplicate_key_update(list(kept.items()))
    kinds: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    insert = kinds[dialect](server_steps)
    return insert.on_conflict_do_update(
        index_elements=["key"],
        set_={name: insert.excluded[name] for name in ENDING},
        where=table.finished_at.is_(None),
    )


async def newest(connection: Connection, server_uuids: Sequence[str]) -> dict[str, Row]:
    """server uuid → step, host and result of the step that began last."""
    last = (
        select(func.max(server_steps.c.id)).where(server_steps.c.server_uuid.in_(server_uuids)).group_by("server_uuid")
    )
    query = select(server_steps).where(server_steps.c.id.in_(last))
    return {row.server_uuid: row for row in (await connection.execute(query)).all()}
