"""Handing out consoles: their hosts say whether they are there, tokens say who may open them."""

from __future__ import annotations

import datetime as dt

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.console_urls import ConsoleUrls
from kilonova.compute.errors import ConsoleTypeUnavailable, GuestMissing, InvalidState
from kilonova.compute.models import ConsolePlace
from kilonova.compute.resources.remote_consoles import errors
from kilonova.compute.resources.server_actions.errors import HostUnreachable, NotReady
from kilonova.compute.resources.server_actions.logic import sender
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import console_tokens as store
from kilonova.compute.store.console_tokens import ConsoleTokenRow
from kilonova.compute.store.servers import ServerRow
from kilonova.core import errors as core_errors
from kilonova.core import log
from kilonova.core.bus import Bus
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried

KINDS = {("vnc", "novnc"): "vnc", ("serial", "serial"): "serial"}
"""(protocol, type) → the console that drivers know."""
TYPES = {"vnc": ("novnc",), "serial": ("serial",)}
"""Of protocols that there are."""
MOST_TOKENS = 100  # that wait to be used, of one server; several requests at once may go a little beyond
LEAVING = (Task.DELETING, Task.MIGRATING)
logger = log.get("api")


class ConsoleLogic:
    def __init__(self, database: Database, bus: Bus, clock: Clock, urls: ConsoleUrls) -> None:
        self.database, self.bus, self.clock, self.urls = database, bus, clock, urls

    async def create(self, ctx: RequestContext, row: ServerRow, protocol: str, type: str) -> str:
        """The URL of a server's console. Raises ConsoleTypeInvalid, ConsoleTypeUnavailable, InvalidState, NotReady,
        HostUnreachable, NotSupported, TooManyTokens."""
        kind = KINDS.get((protocol, type))
        if kind is None and protocol in TYPES:
            raise errors.ConsoleTypeInvalid(console_type=type)
        if kind is None or not self.urls.base:
            raise ConsoleTypeUnavailable(console_type=type)
        if row.task_state in LEAVING:
            raise InvalidState(
                action=f"get_{protocol}_console", server_id=row.uuid, attribute="task_state", state=row.task_state
            )
        if row.host is None:
            raise NotReady(server_id=row.uuid)
        place = await self._place(ctx, row, row.host, kind)
        token = self.clock.secret(32)
        await self._keep(token, row, kind, place)
        logger.info("console handed out", server=row.uuid, kind=kind, user=ctx.user_id, request=ctx.request_id)
        return self.urls.of(kind, token)

    async def _place(self, ctx: RequestContext, row: ServerRow, host: str, kind: str) -> ConsolePlace:
        try:
            return await self.bus.client(ComputeAPI, host=host).find_console(sender(ctx), row.uuid, kind)
        except GuestMissing:
            if row.vm_state == Vm.BUILDING:
                raise NotReady(server_id=row.uuid) from None
            raise
        except core_errors.BusError:
            raise HostUnreachable(server_id=row.uuid) from None

    @retried
    async def _keep(self, token: str, row: ServerRow, kind: str, place: ConsolePlace) -> None:
        now = self.clock.row_time()
        entry = {
            "digest": store.digest_of(token), "server_uuid": row.uuid, "host": row.host, "kind": kind, "life": place.life,
            "url": place.url, "expires_at": now + dt.timedelta(seconds=self.urls.options.token_lifetime),
        }  # fmt: skip
        async with self.database.transaction() as tx:
            await store.remove_expired(tx.connection, now)
            if await store.count_of(tx.connection, row.uuid) >= MOST_TOKENS:
                raise errors.TooManyTokens(server_id=row.uuid, most=MOST_TOKENS)
            await store.add(tx.connection, entry)

    async def connection(self, token: str) -> ConsoleTokenRow:
        """What an unused token is for; raises TokenNotFound."""
        async with self.database.reading() as connection:
            row = await store.find(connection, token, self.clock.row_time())
        if row is None:
            raise errors.TokenNotFound()
        return row
