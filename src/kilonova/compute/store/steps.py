"""SQL of launch steps. One report of a component is one row: all of a request's steps are always read together, and a row
for each cost more than the rest of a launch's history. A report may come twice, and a step's end after its beginning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, func, select

from kilonova.compute.models import StepRecord
from kilonova.compute.tables import step_reports
from kilonova.core.clock import naive
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert, prepared

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[StepRecord]).decode


async def add(connection: Connection, steps: Iterable[StepRecord]) -> None:
    """In one statement."""
    reports: defaultdict[tuple[str, str], list[StepRecord]] = defaultdict(list)
    for step in steps:
        reports[step.server_uuid, step.request_id].append(step)
    if reports:
        rows = [{"server_uuid": s, "request_id": r, "report": encode(report)} for (s, r), report in reports.items()]
        await connection.execute(insert(step_reports), rows)


class ReportRow(TypedRow):
    report: bytes


class LastReportRow(ReportRow):
    server_uuid: str


async def of_request(connection: Connection, server_uuid: str, request_id: str) -> list[StepRecord]:
    """In the order they began, times as rows hold them. A step that ended stays as it ended first."""
    found: dict[str, StepRecord] = {}
    for row in rows.every(await connection.execute(*_reports(server_uuid, request_id)), ReportRow):
        for step in decode(row.report):
            known = found.get(step.key)
            if known is None or known.finished_at is None:
                found[step.key] = _as_rows(step)
    return sorted(found.values(), key=lambda step: step.started_at)


async def newest(connection: Connection, server_uuids: Sequence[str]) -> dict[str, StepRecord]:
    """server uuid → the last step of its last report."""
    found = rows.every(await connection.execute(*_last(server_uuids)), LastReportRow)
    return {row.server_uuid: _as_rows(decode(row.report)[-1]) for row in found}


def _as_rows(step: StepRecord) -> StepRecord:
    finished = step.finished_at
    return msgspec.structs.replace(
        step, started_at=naive(step.started_at), finished_at=naive(finished) if finished is not None else None
    )


@prepared
def _reports(server_uuid: Any, request_id: Any) -> Select[Any]:
    table = step_reports.c
    mine = select(table.report).where(table.server_uuid == server_uuid, table.request_id == request_id)
    return mine.order_by(table.id)


@prepared
def _last(server_uuids: Any) -> Select[Any]:
    table = step_reports.c
    last = select(func.max(table.id)).where(table.server_uuid.in_(server_uuids)).group_by(table.server_uuid)
    return select(table.server_uuid, table.report).where(table.id.in_(last))
