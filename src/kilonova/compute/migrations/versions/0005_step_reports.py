"""steps are kept as they were reported: a row for each report"""

from __future__ import annotations

from itertools import groupby, islice
from operator import itemgetter

import msgspec
import sqlalchemy as sa
from alembic import op

from kilonova.core.db import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIMES = ("started_at", "finished_at")
FIELDS = (
    "key", "server_uuid", "request_id", "action", "step", "component", "host", "attempt", *TIMES, "result", "detail",
)  # fmt: skip
AT_ONCE = 500


def upgrade() -> None:
    reports = op.create_table(
        "step_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("server_uuid", sa.String(length=36), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("report", types.Blob, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_step_reports", "step_reports", ["server_uuid", "request_id"], unique=False)
    _move(reports)
    op.drop_table("server_steps")


def _move(reports: sa.Table) -> None:
    moments = {name: sa.column(name, types.Moment) for name in TIMES}
    steps = sa.table("server_steps", sa.column("id"), *(moments.get(name, sa.column(name)) for name in FIELDS))
    owner = itemgetter("server_uuid", "request_id")
    query = sa.select(*(steps.c[name] for name in FIELDS)).order_by(steps.c.server_uuid, steps.c.request_id, steps.c.id)
    rows = op.get_bind().execute(query).mappings()
    grouped = (
        {"server_uuid": server, "request_id": request, "report": msgspec.msgpack.encode([dict(row) for row in group])}
        for (server, request), group in groupby(rows, owner)
    )
    while some := list(islice(grouped, AT_ONCE)):
        op.bulk_insert(reports, some)
