"""Hosts that are gone for good: what waits for them is dropped, what stands for them is removed."""

from __future__ import annotations

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.parts import Parts, logger
from kilonova.compute.store import hosts, pending_casts
from kilonova.core import errors
from kilonova.core.db import retried

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 20.0)  # seconds; the reconciler gives back what nobody else does


class Departures:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def removed(self, host: str, provider: str) -> None:
        """A compute service was deleted by an operator while it was down. One that returned meanwhile keeps all. Claims of
        servers that have just left may still be on their way back: they are waited for."""
        if await self._is_known(host):
            return
        await self._forget_messages(host)
        for pause in PAUSES:
            try:
                await self.parts.placement.delete_provider(provider)
            except errors.NotFound:
                return
            except errors.Conflict as error:
                reason = error.message
            else:
                return
            await self.parts.clock.sleep(pause)
            if await self._is_known(host):
                return
        logger.warning("the provider of a removed host stays", host=host, error=reason)

    async def _is_known(self, host: str) -> bool:
        async with self.parts.database.reading() as connection:
            return await hosts.node(connection, host) is not None

    @retried
    async def _forget_messages(self, host: str) -> None:
        async with self.parts.database.transaction() as tx:
            dropped = await pending_casts.drop_for_host(tx.connection, host)
        try:
            dropped += await self.parts.bus.forget(ComputeAPI, host=host)
        except errors.BusError as error:
            logger.warning("messages for a removed host stay on the bus", host=host, error=error.message)
        if dropped:
            logger.info("messages for a removed host dropped", host=host, messages=dropped)
