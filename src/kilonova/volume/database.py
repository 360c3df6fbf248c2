"""The volume service's database of one process, shared by the components that run in it."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.db.outbox import Outbox
from kilonova.core.service import Core
from kilonova.volume.tables import metadata, outbox

MIGRATIONS = Path(__file__).parent / "migrations"


class VolumeDatabase:
    """`start` before the components that use `database`, `stop` after them; takes up what an earlier process left in its
    outbox."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.database = core.database("volume", metadata)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        await Outbox(self.database, outbox, self.core.bus, faults=self.core.faults).resume()

    async def stop(self) -> None:
        if self.database.outbox is not None:
            await self.database.outbox.close()
        await self.database.close()
