"""A server's addresses, by network."""

from __future__ import annotations

from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.servers.view_schemas import Address
from kilonova.compute.resources.servers.views import addresses
from kilonova.core.errors import NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = f"{R}:ips"
RULES = {f"{RULE}:index": READER, f"{RULE}:show": READER}
ByNetwork = dict[str, list[Address]]


class NetworkNameNotFound(NotFound):
    template = "Instance does not belong to network {name}"


class AddressesBody(View, kw_only=True):
    addresses: ByNetwork


class Ips:
    def __init__(self, servers: ServerLogic) -> None:
        self.servers = servers

    async def list(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        return Reply(AddressesBody(addresses=addresses(row, extended=False)))

    async def show(self, call: Call, server_id: str, name: str) -> Reply:
        found = addresses(await self.servers.get(call.ctx, server_id), extended=False)
        if name not in found:
            raise NetworkNameNotFound(name=name)
        return Reply({name: found[name]})


def routes(deps: Deps) -> list[Route]:
    ips = Ips(ServerLogic(deps.database, deps.clock, deps.options))
    return below_server(
        deps,
        Route(
            "GET", SERVER + "/ips", ips.list, f"{RULE}:index", reply=AddressesBody, summary="List a server's addresses."
        ),
        Route(
            "GET", SERVER + "/ips/{name:str}", ips.show, f"{RULE}:show", reply=ByNetwork,
            summary="List a server's addresses on one network.",
        ),
    )  # fmt: skip


SERVER_IPS = Resource(routes, RULES)
