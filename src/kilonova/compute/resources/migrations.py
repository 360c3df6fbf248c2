"""Migrations: what went from host to host, for operators."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.compute.errors import UnknownMarker
from kilonova.compute.moves import LIVE_MIGRATION
from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.store import migrations as store
from kilonova.compute.store.migrations import MigrationRow
from kilonova.compute.times import shown_bare
from kilonova.compute.web.fields import Link
from kilonova.compute.web.links import links, next_page
from kilonova.compute.web.parameters import PAGE, known
from kilonova.compute.web.query import at_least, moment
from kilonova.core.db import Database
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.paging import Page, read_page
from kilonova.core.web.wire import View, versions

RULE = f"{R}:os-migrations:index"
RULES = {RULE: ADMIN}
PARAMETERS = {
    "GET /os-migrations": known(
        "2.59", *PAGE, "hidden", "host", "instance_uuid", "source_compute", "status", "migration_type", "changes-since",
        later={"changes-before": "2.66", "user_id": "2.80", "project_id": "2.80"},
    )
}  # fmt: skip
FILTERS = {
    "status": "status",
    "instance_uuid": "server_uuid",
    "source_compute": "source_compute",
    "migration_type": "type",
}
"""Query parameter → column."""
SINCE_2_80 = {"user_id": "user_id", "project_id": "project_id"}


class MigrationView(View, kw_only=True):
    id: int
    uuid: Annotated[str, versions("2.59")]
    source_compute: str
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    status: str
    instance_uuid: str
    old_instance_type_id: int | None = None
    new_instance_type_id: int | None = None
    migration_type: Annotated[str, versions("2.23")]
    created_at: str | None
    updated_at: str | None
    links: Annotated[list[Link] | UnsetType, versions("2.23")] = UNSET
    user_id: Annotated[str | None, versions("2.80")]
    project_id: Annotated[str | None, versions("2.80")]


class MigrationList(View, kw_only=True):
    migrations: list[MigrationView]
    migrations_links: Annotated[list[Link] | UnsetType, versions("2.59")] = UNSET


class MigrationLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def list(
        self, filters: dict[str, str], *, host: str | None, since: dt.datetime | None, before: dt.datetime | None,
        marker: str | None, limit: int,
    ) -> Sequence[MigrationRow]:  # fmt: skip
        """The newest first. Raises UnknownMarker."""
        async with self.database.reading() as connection:
            after = await store.get(connection, marker) if marker is not None else None
            if marker is not None and after is None:
                raise UnknownMarker(marker=marker)
            return await store.page(
                connection, filters, host=host, since=since, before=before, after=after, limit=limit
            )


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
        names = FILTERS | (SINCE_2_80 if at_least(call, "2.80") else {})
        filters = {column: call.query[name] for name, column in names.items() if name in call.query}
        rows = await self.logic.list(
            filters, host=call.query.get("host"), since=since, before=before, marker=page.marker, limit=page.limit
        )
        more = next_page(call, "/os-migrations", page, rows, rows[-1].uuid if rows else None)
        views = [_view(row, _links(call, row)) for row in rows]
        return Reply(MigrationList(migrations=views, migrations_links=more))


def _links(call: Call, row: MigrationRow) -> list[Link] | UnsetType:
    """Those that are under way while their guests run can be looked at."""
    if row.type != LIVE_MIGRATION.name or row.status not in store.IN_PROGRESS:
        return UNSET
    return links(call, f"servers/{row.server_uuid}/migrations", str(row.id))


def _view(row: MigrationRow, links: list[Link] | UnsetType) -> MigrationView:
    old, new = store.decode(row).flavor_ids
    return MigrationView(
        id=row.id, uuid=row.uuid, source_compute=row.source_compute, source_node=row.source_node,
        dest_compute=row.dest_compute, dest_node=row.dest_node, dest_host=row.dest_host, status=row.status,
        instance_uuid=row.server_uuid, migration_type=row.type, created_at=shown_bare(row.created_at),
        updated_at=shown_bare(row.updated_at),
        old_instance_type_id=old, new_instance_type_id=new, user_id=row.user_id, project_id=row.project_id, links=links,
    )  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    migrations = Migrations(MigrationLogic(deps.database))
    return [
        Route(
            "GET", V + "/os-migrations", migrations.list, RULE, reply=MigrationList,
            summary="List moves of servers from host to host.",
        )
    ]  # fmt: skip


MIGRATIONS = Resource(routes, RULES, PARAMETERS)
