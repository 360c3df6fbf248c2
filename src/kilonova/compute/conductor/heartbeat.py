"""The services rows of components that are no compute hosts: nova-conductor, nova-scheduler."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.store import hosts as store
from kilonova.core.clock import Clock
from kilonova.core.db import Database, retried
from kilonova.core.periodic import Repeated

CONDUCTOR, SCHEDULER = "nova-conductor", "nova-scheduler"


class Heartbeat:
    """Makes the rows known at `start` and notes every `interval` seconds that they live."""

    def __init__(
        self, database: Database, clock: Clock, host: str, binaries: Sequence[str], interval: float = 10.0
    ) -> None:
        self.database, self.clock, self.host, self.binaries = database, clock, host, binaries
        self._again = Repeated("heartbeat", clock, interval, self.beat)

    async def start(self) -> None:
        await self._register()
        self._again.start()

    @retried
    async def _register(self) -> None:
        async with self.database.transaction() as tx:
            for binary in self.binaries:
                await store.put_service(
                    tx.connection, host=self.host, binary=binary, uuid=self.clock.uuid(), now=self.clock.row_time()
                )

    @retried
    async def beat(self) -> None:
        async with self.database.transaction() as tx:
            known = await store.seen(tx.connection, [self.host], self.binaries, self.clock.row_time())
        if known < len(self.binaries):
            await self._register()

    async def stop(self) -> None:
        await self._again.stop()
