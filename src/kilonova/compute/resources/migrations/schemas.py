"""Wire shapes of migrations."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View, versions


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
    user_id: Annotated[str | None, versions("2.80")]
    project_id: Annotated[str | None, versions("2.80")]


class Migrations(View, kw_only=True):
    migrations: list[MigrationView]
    migrations_links: Annotated[list[dict[str, str]] | UnsetType, versions("2.59")] = UNSET
