"""Hosts that are gone for good: what waits for them is dropped, what stands for them is removed."""

from __future__ import annotations

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.parts import Parts, logger
from kilonova.compute.store import hosts, pending_casts
from kilonova.core import errors
from kilonova.core.db import retried


class Departures:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def removed(self, host: str, provider: str) -> None:
        """A compute service was deleted by an operator while it was down. One that returned meanwhile keeps all."""
        async with self.parts.database.reading() as connection:
            if await hosts.node(connection, host) is not None:
                return
        await self._forget_messages(host)
        try:
            await self.parts.placement.delete_provider(provider)
        except errors.NotFound:
            return
        except errors.Conflict as error:  # claims that the reconciler has not yet given back
            logger.warning("the provider of a removed host stays", host=host, error=error.message)

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
