"""How a server's CPUs and memory lie on its host's NUMA nodes. No server here is bound to any, so there is nothing to name."""

from __future__ import annotations

import msgspec

from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = "compute:server:topology:index"


class Node(View, kw_only=True):
    memory_mb: int
    siblings: list[list[int]]
    vcpu_set: list[int]


class Topology(View, kw_only=True):
    nodes: list[Node] = msgspec.field(default_factory=list)
    pagesize_kb: int | None = None


class ServerTopology:
    def __init__(self, servers: ServerLogic) -> None:
        self.servers = servers

    async def show(self, call: Call, server_id: str) -> Reply:
        await self.servers.get(call.ctx, server_id)
        return Reply(Topology())


def routes(deps: Deps) -> list[Route]:
    topology = ServerTopology(ServerLogic(deps.database, deps.clock, deps.options))
    return below_server(
        deps,
        Route(
            "GET", SERVER + "/topology", topology.show, RULE, since="2.78", reply=Topology,
            summary="Show a server's NUMA topology.",
        ),
    )  # fmt: skip


SERVER_TOPOLOGY = Resource(routes, {RULE: READER})
