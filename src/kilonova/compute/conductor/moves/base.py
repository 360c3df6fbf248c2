"""What the parts of the workflow share: whether a move is still under way, and how its record is closed."""

from __future__ import annotations

import msgspec

from kilonova.compute.conductor.deps import Deps
from kilonova.compute.models import Move
from kilonova.compute.moves import KINDS, MoveKind
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow


def kind_of(record: MigrationRow) -> MoveKind:
    return KINDS[record.type]


def under_way(row: SpecifiedRow | None, record: MigrationRow) -> bool:
    """Whether the server is still to be moved: neither deleted nor given another state."""
    return row is not None and not row.deleted and row.task_state in kind_of(record).tasks


def closed(deps: Deps, move: Move, status: str) -> dict[str, object]:
    """Values of a record that has ended: without secrets."""
    document = store.encode(msgspec.structs.replace(move, admin_pass=None))
    return {"status": status, "document": document, "updated_at": deps.now()}


async def settle(deps: Deps, uuid: str, record: MigrationRow) -> None:
    """The claim is made what the row says, unless another host is being looked for."""
    async with deps.database.reading() as connection:
        row = await servers.get(connection, uuid)
    if row is not None and not under_way(row, record):
        await deps.settle_claims([uuid])
