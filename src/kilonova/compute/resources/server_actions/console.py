"""The serial console's text."""

from __future__ import annotations

import re

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.servers.logic import owned
from kilonova.core import errors as core_errors
from kilonova.core.bus import Bus
from kilonova.core.context import RequestContext
from kilonova.core.db import Database

INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f]")


class ConsoleLogic:
    def __init__(self, database: Database, bus: Bus, max_bytes: int) -> None:
        self.database, self.bus, self.max_bytes = database, bus, max_bytes

    async def output(self, ctx: RequestContext, server_id: str, lines: int | None) -> str:
        """The last lines; raises NotReady before a host has the server."""
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id)
        if row.host is None:
            raise errors.NotReady(server_id=server_id)
        agent = self.bus.client(ComputeAPI, host=row.host)
        try:
            data = await agent.console_output(ctx, row.uuid, self.max_bytes)
        except core_errors.BusError:
            raise errors.HostUnreachable(server_id=server_id) from None
        text = INVISIBLE.sub("", data.decode("utf-8", "replace"))
        if lines is None or lines < 0:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""
