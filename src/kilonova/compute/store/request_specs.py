"""SQL of request specs: what a launch needs and the server's row doesn't hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, select, update

from kilonova.compute.models import RequestSpec
from kilonova.compute.tables import request_specs
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert, prepared


class SpecRow(TypedRow):
    server_uuid: str
    spec: bytes


async def add(connection: Connection, specs: Mapping[str, RequestSpec]) -> None:
    """server uuid → spec, in one statement."""
    rows = [{"server_uuid": uuid, "spec": msgspec.msgpack.encode(spec)} for uuid, spec in specs.items()]
    await connection.execute(insert(request_specs), rows)


async def get(connection: Connection, server_uuid: str) -> RequestSpec | None:
    return (await get_many(connection, [server_uuid])).get(server_uuid)


async def get_many(connection: Connection, server_uuids: Sequence[str]) -> dict[str, RequestSpec]:
    found = rows.every(await connection.execute(*_of_servers(server_uuids)), SpecRow)
    return {row.server_uuid: decode(row.spec) for row in found}


@prepared
def _of_servers(uuids: Any) -> Select[Any]:
    return select(request_specs).where(request_specs.c.server_uuid.in_(uuids))


async def save(connection: Connection, server_uuid: str, spec: RequestSpec) -> None:
    await connection.execute(
        update(request_specs)
        .where(request_specs.c.server_uuid == server_uuid)
        .values(spec=msgspec.msgpack.encode(spec))
    )


decode = msgspec.msgpack.Decoder(RequestSpec).decode
"""The column `spec` as a record."""


def of_living(document: bytes | None) -> RequestSpec:
    """The column `spec` of a server that is not deleted: it has one."""
    assert document is not None  # noqa: S101 - for the type checker
    return decode(document)
