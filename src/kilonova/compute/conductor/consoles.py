"""From a user's token to a ticket of the server's host."""

from __future__ import annotations

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.models import ConsoleTicket
from kilonova.compute.store import console_tokens as store
from kilonova.compute.store.console_tokens import ConsoleTokenRow
from kilonova.core import errors, log
from kilonova.core.context import RequestContext
from kilonova.core.db import retried

logger = log.get("conductor")


class Consoles:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.database = deps, deps.database

    async def redeem(self, ctx: RequestContext, token: str) -> ConsoleTicket | None:
        """The token is used up first: a host that does not answer costs the user another one, and a token never opens two."""
        row = await self._use(token)
        if row is None:
            return None
        agent = self.deps.bus.client(ComputeAPI, host=row.host)
        try:
            return await agent.open_console(ctx, row.server_uuid, row.kind, row.life)
        except errors.KilonovaError as error:
            logger.warning("console not opened", server=row.server_uuid, host=row.host, reason=error.message)
            return None

    @retried
    async def _use(self, token: str) -> ConsoleTokenRow | None:
        async with self.database.transaction() as tx:
            row = await store.find(tx.connection, token, self.deps.now())
            if row is None or not await store.remove(tx.connection, row.digest):
                return None
        return row
