"""SQL of EC2 keys and other credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.identity import tables
from kilonova.identity.store.records import Records


class CredentialRow(TypedRow):
    id: str
    user_id: str
    project_id: str | None
    type: str
    sealed_blob: bytes
    application_credential_id: str | None


credentials = Records(tables.credentials, CredentialRow)


async def page(
    connection: Connection, where: dict[str, Any], *, marker: str | None, limit: int | None
) -> Sequence[CredentialRow]:
    """At most `limit` rows (None: all) with these values, in order of their ids, after the one with the id `marker`."""
    columns = tables.credentials.c
    query = select(tables.credentials).where(*[columns[name] == value for name, value in where.items()])
    if marker is not None:
        query = query.where(columns.id > marker)
    return rows.every(await connection.execute(query.order_by(columns.id).limit(limit)), CredentialRow)
