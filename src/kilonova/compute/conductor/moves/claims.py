"""Claims of a server that leaves its host with its disks, or while its guest runs: what it holds there is the migration's from
the beginning of the move to its end, so that the server itself can hold the new host's resources."""

from __future__ import annotations

from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.states import Task
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core import errors

SERVER, MIGRATION = "INSTANCE", "MIGRATION"


async def put_aside(deps: Deps, row: SpecifiedRow, migration: str) -> None:
    """The server's claim is the migration's from now on; nothing happens when it is so already."""
    if not (await deps.placement.allocations(migration)).allocations:
        await deps.placement.hand_over(row.uuid, migration, MIGRATION)


async def give_back(deps: Deps, row: SpecifiedRow, record: MigrationRow) -> None:
    """The move has ended. Where it began: what the migration holds is the server's again, and nothing else. Of a server that
    is deleted or elsewhere it is given back. What can't be done now is left to the reconciler."""
    migration = record.uuid
    try:
        if row.deleted or row.task_state == Task.DELETING or row.host != record.source_compute:
            await deps.placement.release(migration)
        else:
            await deps.placement.hand_over(migration, row.uuid, SERVER)
    except errors.KilonovaError as error:
        logger.warning("claim left to the reconciler", server=row.uuid, migration=migration, error=error.message)
