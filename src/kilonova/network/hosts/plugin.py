"""The network service on the bus: what agents ask of it."""

from __future__ import annotations

from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext
from kilonova.core.db.outbox import Outbox
from kilonova.network.agent.dataplane import MetadataCaller, Metered
from kilonova.network.agent.feed import Held, HostChanges
from kilonova.network.agent.interface import FIRST_SECTIONS, AgentState, NetworkPluginAPI
from kilonova.network.agent.model import HostModel
from kilonova.network.hosts import feed
from kilonova.network.hosts.metadata_callers import MetadataCallers
from kilonova.network.hosts.meters import MeterNotifications
from kilonova.network.hosts.model import HostLogic
from kilonova.network.resources.agents.logic import AgentLogic


class NetworkPlugin(NetworkPluginAPI):
    def __init__(
        self, hosts: HostLogic, agents: AgentLogic, meters: MeterNotifications, callers: MetadataCallers, outbox: Outbox
    ) -> None:
        self._hosts, self._agents, self._meters, self._outbox = hosts, agents, meters, outbox
        self._callers = callers

    async def host_model(self, ctx: RequestContext, host: str, sections: tuple[str, ...] = FIRST_SECTIONS) -> HostModel:
        return await self._hosts.model(host, sections)

    async def host_changes(self, ctx: RequestContext, host: str, sections: tuple[str, ...], held: Held) -> HostChanges:
        return await feed.changes(self._hosts, host, sections, held)

    async def port_up(self, ctx: RequestContext, host: str, port_ids: list[str]) -> None:
        await self._hosts.report(ctx, host, port_ids, up=True)

    async def port_down(self, ctx: RequestContext, host: str, port_ids: list[str]) -> None:
        await self._hosts.report(ctx, host, port_ids, up=False)

    async def metered(self, ctx: RequestContext, host: str, metered: list[Metered]) -> None:
        await self._meters.publish(ctx, host, metered)

    async def metadata_caller(
        self, ctx: RequestContext, host: str, network_id: str, ip_address: str
    ) -> MetadataCaller | None:
        return await self._callers.find(host, network_id, ip_address)

    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        return await self._outbox.undelivered()

    async def report_state(self, ctx: RequestContext, state: AgentState) -> None:
        await self._agents.heartbeat(ctx, state)
