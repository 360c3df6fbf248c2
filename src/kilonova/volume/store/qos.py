"""SQL of QoS specs, which are pairs that volume types are associated with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import update

from kilonova.core.db import Connection
from kilonova.volume.store import items
from kilonova.volume.store.base import KeyRow, Rows
from kilonova.volume.store.types import TYPES, TypeRow
from kilonova.volume.tables import qos_specs, volume_types

SPECS = "qos"


class QosRow(KeyRow):
    """`consumer`: front-end (the hypervisor), back-end or both."""

    name: str
    consumer: str
    created_at: dt.datetime


QOS = Rows(qos_specs, QosRow)


async def types_of(connection: Connection, specs_id: str) -> Sequence[TypeRow]:
    return await TYPES.find(connection, qos_specs_id=specs_id)


async def leave(connection: Connection, specs_id: str) -> None:
    """No type is associated with them any more."""
    await connection.execute(
        update(volume_types).where(volume_types.c.qos_specs_id == specs_id).values(qos_specs_id=None)
    )


async def remove(connection: Connection, specs_id: str) -> None:
    await leave(connection, specs_id)
    await items.clear(connection, specs_id)
    await QOS.remove(connection, specs_id)
