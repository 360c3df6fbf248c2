"""SQL of the word that a resized server stays as it is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from kilonova.compute.states import Vm
from kilonova.compute.store import migrations, servers
from kilonova.compute.store.migrations import MigrationRow
from kilonova.compute.store.servers import ServerRow
from kilonova.core.db import Connection

SHUTDOWN = 4


async def confirm(
    connection: Connection, row: ServerRow, record: MigrationRow, now: dt.datetime
) -> dict[str, Any] | None:
    """The server, whose row is locked and waits for this, is what its guest is, with its new flavor alone to be counted; its old
    host is to remove what it set aside. The row's new values; None when another transaction was first."""
    move, closing = migrations.decode(record), {"status": migrations.CONFIRMING, "updated_at": now}
    if not await migrations.change(connection, record.uuid, [migrations.FINISHED], closing):
        return None
    values: dict[str, Any] = {"vm_state": Vm.STOPPED if row.power_state == SHUTDOWN else Vm.ACTIVE}
    if move.new_flavor is not None:
        values |= {"vcpus": move.new_flavor.vcpus, "memory_mb": move.new_flavor.memory_mb}
    await servers.change(connection, row.uuid, values, now)
    return values
