"""The compute database of one process, shared by the components that run in it."""

from __future__ import annotations

from pathlib import Path

from kilonova.compute.tables import metadata, outbox
from kilonova.core.db.outbox import Outbox
from kilonova.core.service import Core

MIGRATIONS = Path(__file__).parent / "migrations"


class ComputeDatabase:
    """`start` before the components that use `database`, `stop` after them. One that `sends` has an outbox, and takes up
    what an earlier process left there."""

    def __init__(self, core: Core, *, sends: bool = True) -> None:
        self.core, self.sends = core, sends
        self.database = core.database("compute", metadata)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        if self.sends:
            await Outbox(self.database, outbox, self.core.bus, faults=self.core.faults).resume()

    async def stop(self) -> None:
        if self.database.outbox is not None:
            await self.database.outbox.close()
        await self.database.close()
