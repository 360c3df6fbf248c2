"""What agents host. Routers are given to hosts and taken from them by administrators; DHCP is on every host that has ports of a
network, so its places are only shown."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.network import errors as network_errors
from kilonova.network.agent.interface import AGENT_TYPE, L3_AGENT
from kilonova.network.deps import Deps
from kilonova.network.hosts import router_hosts
from kilonova.network.resources.agent_schedulers import errors
from kilonova.network.resources.agents.logic import AgentLogic
from kilonova.network.resources.agents.schemas import Agent
from kilonova.network.resources.networks.logic import NetworkLogic
from kilonova.network.resources.networks.schemas import Network
from kilonova.network.resources.routers.errors import RouterNotFound
from kilonova.network.resources.routers.logic import RouterLogic
from kilonova.network.resources.routers.schemas import Router
from kilonova.network.store import agents as agent_store
from kilonova.network.store import networks as network_store
from kilonova.network.store import routers as router_store
from kilonova.network.store.agents import AGENTS, AgentRow
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.routers import ROUTERS, RouterRow


class AgentSchedulerLogic:
    """`routers`, `networks` and `agents` say what is shown of these."""

    def __init__(self, deps: Deps, routers: RouterLogic, networks: NetworkLogic, agents: AgentLogic) -> None:
        self.deps, self.routers, self.networks, self.agents = deps, routers, networks, agents

    async def routers_on(self, agent_id: str) -> Sequence[Router]:
        async with self.deps.database.reading() as connection:
            agent = await _agent(connection, agent_id)
            here = agent.agent_type == L3_AGENT
            return await self.routers.views(
                connection, await router_store.on_host(connection, agent.host) if here else []
            )

    async def agents_of_router(self, router_id: str) -> Sequence[Agent]:
        async with self.deps.database.reading() as connection:
            router = await _router(connection, router_id)
            return await self.agents.views(
                connection, await agent_store.of_hosts(connection, L3_AGENT, [router.host_id])
            )

    async def networks_on(self, agent_id: str) -> Sequence[Network]:
        async with self.deps.database.reading() as connection:
            agent = await _agent(connection, agent_id)
            here = agent.agent_type == AGENT_TYPE
            found = await network_store.with_dhcp_on(connection, agent.host) if here else []
            return await self.networks.views(connection, found)

    async def agents_of_network(self, network_id: str) -> Sequence[Agent]:
        async with self.deps.database.reading() as connection:
            if await NETWORKS.get(connection, network_id) is None:
                raise network_errors.NetworkNotFound(id=network_id)
            hosts = await network_store.dhcp_hosts_of(connection, network_id)
            return await self.agents.views(connection, await agent_store.of_hosts(connection, AGENT_TYPE, hosts))

    @retried
    async def add_router(self, ctx: RequestContext, agent_id: str, router_id: str) -> None:
        """Make the router on the agent's host; one that is there stays."""
        async with self.deps.database.transaction() as tx:
            agent = await _agent(tx.connection, agent_id)
            router = await _router(tx.connection, router_id, lock=True)
            if router.host_id != agent.host:
                await self._check_free(tx.connection, router, agent)
                await self._place(tx, ctx, router, agent)

    async def _check_free(self, connection: Connection, router: RouterRow, agent: AgentRow) -> None:
        if router.host_id:
            hosting = await agent_store.of_hosts(connection, L3_AGENT, [router.host_id])
            held_by = hosting[0].id if hosting else router.host_id
            raise errors.RouterHostedByL3Agent(router_id=router.id, agent_id=held_by)
        if agent.agent_type != L3_AGENT or not agent.admin_state_up:
            raise errors.InvalidL3Agent(id=agent.id)
        if agent.heartbeat_timestamp < self.deps.alive_since():
            raise errors.RouterSchedulingFailed(router_id=router.id, agent_id=agent.id, reason="the agent is down")

    async def _place(self, tx: Transaction, ctx: RequestContext, router: RouterRow, agent: AgentRow) -> None:
        held, known = await router_hosts.read_ports(tx.connection, [router.id])
        physical = router_hosts.physical_networks(held.get(router.id, ()), known)
        if not router_hosts.suits(agent.configurations, physical):
            reason = f"its host is not on {', '.join(sorted(physical))}" if physical else "its host makes no routers"
            raise errors.RouterSchedulingFailed(router_id=router.id, agent_id=agent.id, reason=reason)
        await router_hosts.place(self.deps, tx, ctx, [(router, agent.host)], held, known)

    @retried
    async def remove_router(self, ctx: RequestContext, agent_id: str, router_id: str) -> None:
        """No host makes it then, until it or its ports are changed or an administrator gives it to one."""
        async with self.deps.database.transaction() as tx:
            agent = await _agent(tx.connection, agent_id)
            router = await _router(tx.connection, router_id, lock=True)
            if agent.agent_type != L3_AGENT or router.host_id != agent.host:
                raise errors.RouterNotHostedByL3Agent(router_id=router_id, agent_id=agent_id)
            held, known = await router_hosts.read_ports(tx.connection, [router_id])
            await router_hosts.place(self.deps, tx, ctx, [(router, "")], held, known)
            await router_store.place(tx.connection, [router_id], "", withdrawn=True)


async def _agent(connection: Connection, agent_id: str) -> AgentRow:
    agent = await AGENTS.get(connection, agent_id)
    if agent is None:
        raise network_errors.AgentNotFound(id=agent_id)
    return agent


async def _router(connection: Connection, router_id: str, *, lock: bool = False) -> RouterRow:
    router = await ROUTERS.get(connection, router_id, lock=lock)
    if router is None:
        raise RouterNotFound(id=router_id)
    return router
