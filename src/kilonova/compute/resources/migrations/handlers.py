"""Migrations over HTTP: what went from host to host, for operators."""

from __future__ import annotations

from kilonova.compute.resources.migrations import schemas as shapes
from kilonova.compute.resources.migrations.logic import MigrationLogic
from kilonova.compute.times import shown_bare
from kilonova.compute.web.common import at_least, moment, root
from kilonova.core.db import Row
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.paging import Page, next_links, read_page

FILTERS = {
    "status": "status", "instance_uuid": "server_uuid", "source_compute": "source_compute", "migration_type": "type",
}  # fmt: skip
"""Query parameter → column."""
SINCE_2_80 = {"user_id": "user_id", "project_id": "project_id"}


class Migrations:
    def __init__(self, logic: MigrationLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        paged = at_least(call, "2.59")
        page = read_page(call) if paged else Page(1000, None, None)
        since = moment(call, "changes-since") if paged else None
        before = moment(call, "changes-before") if at_least(call, "2.66") else None
        if since is not None and before is not None and before < since:
            raise InvalidInput(reason="The value of changes-since must be less than or equal to changes-before.")
        known = FILTERS | (SINCE_2_80 if at_least(call, "2.80") else {})
        filters = {column: call.query[name] for name, column in known.items() if name in call.query}
        rows = await self.logic.list(
            filters, host=call.query.get("host"), since=since, before=before, marker=page.marker, limit=page.limit
        )
        more = next_links(call, f"{root(call)}/os-migrations", page, list(rows), rows[-1].uuid if rows else None)
        views = [_view(row) for row in rows]
        return Reply(shapes.Migrations(migrations=views, **({"migrations_links": more} if more else {})))


def _view(row: Row) -> shapes.MigrationView:
    return shapes.MigrationView(
        id=row.id, uuid=row.uuid, source_compute=row.source_compute, source_node=row.source_node,
        dest_compute=row.dest_compute, dest_node=row.dest_node, dest_host=row.dest_host, status=row.status,
        instance_uuid=row.server_uuid, migration_type=row.type, created_at=shown_bare(row.created_at),
        updated_at=shown_bare(row.updated_at), user_id=row.user_id, project_id=row.project_id,
    )  # fmt: skip
