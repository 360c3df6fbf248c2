"""The password that a guest has given itself and left at the metadata service, encrypted with its user's public key."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic, owned
from kilonova.compute.store import request_specs
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = f"{R}:os-server-password"
RULES = {f"{RULE}:show": READER, f"{RULE}:clear": MEMBER}


class PasswordBody(View, kw_only=True):
    """No text where the guest has left none."""

    password: str


class PasswordLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    @retried
    async def clear(self, ctx: RequestContext, server_id: str) -> None:
        """The guest's own stays as it is, and it may leave another one."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            spec = await request_specs.get(tx.connection, row.uuid)
            if spec is not None and spec.guest_password is not None:
                spec.guest_password = None
                await request_specs.save(tx.connection, row.uuid, spec)


class ServerPassword:
    def __init__(self, servers: ServerLogic, logic: PasswordLogic) -> None:
        self.servers, self.logic = servers, logic

    async def show(self, call: Call, server_id: str) -> Reply:
        _, extras = await self.servers.one(call.ctx, server_id)
        spec = extras.specs.get(server_id)
        return Reply(PasswordBody(password=(spec.guest_password if spec is not None else None) or ""))

    async def clear(self, call: Call, server_id: str) -> Reply:
        await self.logic.clear(call.ctx, server_id)
        return Reply()


def routes(deps: Deps) -> list[Route]:
    password = ServerPassword(ServerLogic(deps.database, deps.clock, deps.options), PasswordLogic(deps.database))
    path = SERVER + "/os-server-password"
    return below_server(
        deps,
        Route(
            "GET", path, password.show, f"{RULE}:show", reply=PasswordBody,
            summary="Show the encrypted password that a server's guest has left.",
        ),
        Route("DELETE", path, password.clear, f"{RULE}:clear", 204, summary="Forget that password."),
    )  # fmt: skip


SERVER_PASSWORD = Resource(routes, RULES)
