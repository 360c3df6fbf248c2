"""SQL of request specs: what a launch needs and the server's row doesn't hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import insert, select, update

from kilonova.compute.models import RequestSpec
from kilonova.compute.tables import request_specs
from kilonova.core.db import Connection


async def add(connection: Connection, specs: Mapping[str, RequestSpec]) -> None:
    """server uuid → spec, in one statement."""
    rows = [{"server_uuid": uuid, "spec": msgspec.msgpack.encode(spec)} for uuid, spec in specs.items()]
    await connection.execute(insert(request_specs), rows)


async def get(connection: Connection, server_uuid: str) -> RequestSpec | None:
    return (await get_many(connection, [server_uuid])).get(server_uuid)


async def get_many(connection: Connection, server_uuids: Sequence[str]) -> dict[str, RequestSpec]:
    query = select(request_specs).where(request_specs.c.server_uuid.in_(server_uuids))
    return {row.server_uuid: decode(row.spec) for row in (await connection.execute(query)).all()}


async def save(connection: Connection, server_uuid: str, spec: RequestSpec) -> None:
    await connection.execute(
        update(request_specs)
        .where(request_specs.c.server_uuid == server_uuid)
        .values(spec=msgspec.msgpack.encode(spec))
    )


def decode(data: bytes) -> RequestSpec:
    return msgspec.msgpack.decode(data, type=RequestSpec)
