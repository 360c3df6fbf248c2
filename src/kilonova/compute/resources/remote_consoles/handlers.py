"""Remote consoles over HTTP."""

from __future__ import annotations

from urllib.parse import urlsplit

from kilonova.compute.resources.remote_consoles import errors
from kilonova.compute.resources.remote_consoles import schemas as shapes
from kilonova.compute.resources.remote_consoles.logic import ConsoleLogic
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.web.query import at_least
from kilonova.core.web.call import Call, InvalidInput, Reply


class RemoteConsoles:
    def __init__(self, servers: ServerLogic, logic: ConsoleLogic) -> None:
        self.servers, self.logic = servers, logic

    async def create(self, call: Call, server_id: str) -> Reply:
        wanted = (await call.decode(shapes.RemoteConsoleCreate)).remote_console
        for word in (wanted.protocol, wanted.type):
            since = shapes.SINCE.get(word)
            if since is not None and not at_least(call, str(since)):
                raise InvalidInput(reason=f"remote_console: {word!r} is there since microversion {since}")
        row = await self.servers.get(call.ctx, server_id)
        url = await self.logic.create(call.ctx, row, wanted.protocol, wanted.type)
        made = shapes.RemoteConsole(protocol=wanted.protocol, type=wanted.type, url=url)
        return Reply(shapes.RemoteConsoleBody(remote_console=made))

    async def connection(self, call: Call, token: str) -> Reply:
        if not at_least(call, "2.31"):
            raise errors.NotAtThisVersion()
        row = await self.logic.connection(token)
        where = urlsplit(row.url)
        found = shapes.Connection(instance_uuid=row.server_uuid, host=where.hostname or "", port=where.port or 0)
        return Reply(shapes.ConnectionBody(console=found))
