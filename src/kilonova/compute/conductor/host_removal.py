"""Removal of hosts that will not return: messages for them are dropped, and their rows removed."""

from __future__ import annotations

import contextlib

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.store import hosts, pending_casts
from kilonova.core import errors
from kilonova.core.db import retried
from kilonova.core.retry import Backoff, retry

BACKOFF = Backoff(0.1, 20.0)
ATTEMPTS = 11  # about a minute; what is left then, the reconciler gives back


class HostRemoval:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def removed(self, host: str, provider: str) -> None:
        """A compute service was deleted by an operator while it was down. One that returned meanwhile keeps all. Claims of
        servers that have just left may still be on their way back: they are waited for."""
        if await self._is_known(host):
            return
        await self._forget_messages(host)
        with contextlib.suppress(errors.NotFound, errors.Conflict):  # a conflict that lasts is logged
            await retry(
                lambda: self._delete_provider(host, provider), BACKOFF, again=_conflict, limit=ATTEMPTS, log=logger,
                clock=self.deps.clock, work="delete the provider of a removed host", host=host, provider=provider,
            )  # fmt: skip

    async def _delete_provider(self, host: str, provider: str) -> None:
        if not await self._is_known(host):
            await self.deps.placement.delete_provider(provider)

    async def _is_known(self, host: str) -> bool:
        async with self.deps.database.reading() as connection:
            return await hosts.node(connection, host) is not None

    @retried
    async def _forget_messages(self, host: str) -> None:
        async with self.deps.database.transaction() as tx:
            dropped = await pending_casts.drop_for_host(tx.connection, host)
        try:
            dropped += await self.deps.bus.forget(ComputeAPI, host=host)
        except errors.BusError as error:
            logger.warning("messages for a removed host stay on the bus", host=host, error=error.message)
        if dropped:
            logger.info("messages for a removed host dropped", host=host, messages=dropped)


def _conflict(error: Exception) -> bool:
    return isinstance(error, errors.Conflict)
