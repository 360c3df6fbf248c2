"""Security groups of a server that runs: its ports have them."""

from __future__ import annotations

import asyncio

from kilonova.compute.errors import AmbiguousSecurityGroup
from kilonova.compute.peers import NetworkAccess
from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.security_groups.schemas import GroupsOut, GroupView
from kilonova.compute.resources.server_actions.logic import check_lock
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic, owned
from kilonova.compute.store import servers as store
from kilonova.compute.store.records import vifs
from kilonova.compute.store.servers import ServerRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest, Conflict, NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.network.client import PortRecord, SecurityGroupRecord

RULE = f"{R}:os-security-groups"
RULES = {f"{RULE}:list": READER, f"{RULE}:add": MEMBER, f"{RULE}:remove": MEMBER}


class SecurityGroupNotFound(NotFound):
    template = "Security group {name} not found for project {project_id}."


class GroupNotOnServer(NotFound):
    template = "Security group {name} not associated with the instance {server_id}"


class NoPorts(BadRequest):
    template = "Network requires port_security_enabled and subnet associated in order to apply security groups."


class NetworkNotOnServer(NotFound):
    template = "Network could not be found for instance {server_id}."


class NoSuchFixedIp(BadRequest):
    template = "Instance {server_id} does not have fixed IP '{address}'."


class ServerNetworkLogic:
    def __init__(self, database: Database, clock: Clock, networks: NetworkAccess) -> None:
        self.database, self.clock, self.networks = database, clock, networks

    async def ports(self, row: ServerRow) -> list[PortRecord]:
        """The server's. Any project may write a server's id on a port of its own: one of another project counts only where the
        server has it."""
        known = {vif.port_id for vif in vifs(row.network_info)}
        found = await self.networks.ports(device_id=row.uuid)
        return [port for port in found if port.project_id == row.project_id or port.id in known]

    async def groups(self, project_id: str, ids: list[str]) -> list[SecurityGroupRecord]:
        known = {group.id: group for group in await self.networks.security_groups(project_id=project_id)}
        return [known[group_id] for group_id in ids if group_id in known]

    async def add_group(self, ctx: RequestContext, server_id: str, name: str) -> None:
        await self._change(ctx, server_id, name, add=True)

    async def remove_group(self, ctx: RequestContext, server_id: str, name: str) -> None:
        await self._change(ctx, server_id, name, add=False)

    async def add_fixed_ip(self, ctx: RequestContext, row: ServerRow, network_id: str) -> None:
        """A further address on the server's first port of a network."""
        check_lock(ctx, row)
        for port in await self.ports(row):
            if port.network_id == network_id:
                held = [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips]
                subnet = port.fixed_ips[0].subnet_id if port.fixed_ips else None
                if subnet is None:
                    break
                await self._readdress(port.id, [*held, {"subnet_id": subnet}])
                return
        raise NetworkNotOnServer(server_id=row.uuid)

    async def remove_fixed_ip(self, ctx: RequestContext, row: ServerRow, address: str) -> None:
        check_lock(ctx, row)
        for port in await self.ports(row):
            kept = [ip for ip in port.fixed_ips if ip.ip_address != address]
            if len(kept) < len(port.fixed_ips):
                await self._readdress(
                    port.id, [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in kept]
                )
                return
        raise NoSuchFixedIp(server_id=row.uuid, address=address)

    async def _readdress(self, port_id: str, fixed_ips: list[dict[str, str]]) -> None:
        try:
            await self.networks.update_port(port_id, {"fixed_ips": fixed_ips})
        except Conflict as error:  # no address is left
            raise BadRequest(error.message) from None

    async def _change(self, ctx: RequestContext, server_id: str, name: str, *, add: bool) -> None:
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id)
        check_lock(ctx, row)
        group = await self._group(row.project_id, name)
        ports = [port for port in await self.ports(row) if port.port_security_enabled and port.fixed_ips]
        if add and not ports:
            raise NoPorts
        touched = [port for port in ports if (group.id in port.security_groups) != add]
        if not add and not touched:
            raise GroupNotOnServer(name=name, server_id=server_id)
        await asyncio.gather(*(self._set(port, group.id, add=add) for port in touched))
        await self._write_down(ctx, server_id, group.name, add=add)

    @retried
    async def _write_down(self, ctx: RequestContext, server_id: str, name: str, *, add: bool) -> None:
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            names = [kept for kept in row.security_groups if kept != name] + ([name] if add else [])
            await store.change(tx.connection, server_id, {"security_groups": names}, self.clock.row_time())

    async def _set(self, port: PortRecord, group_id: str, *, add: bool) -> None:
        groups = [held for held in port.security_groups if held != group_id] + ([group_id] if add else [])
        await self.networks.update_port(port.id, {"security_groups": groups})

    async def _group(self, project_id: str, name: str) -> SecurityGroupRecord:
        known = await self.networks.security_groups(project_id=project_id)
        matching = [group for group in known if group.id == name] or [group for group in known if group.name == name]
        if not matching:
            raise SecurityGroupNotFound(name=name, project_id=project_id)
        if len(matching) > 1:
            raise AmbiguousSecurityGroup(name=name)
        return matching[0]


class ServerSecurityGroups:
    def __init__(self, servers: ServerLogic, network: ServerNetworkLogic) -> None:
        self.servers, self.network = servers, network

    async def list(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        ids = [group_id for port in await self.network.ports(row) for group_id in port.security_groups]
        groups = await self.network.groups(row.project_id, [*dict.fromkeys(ids)])
        views = [
            GroupView(id=group.id, name=group.name, description=group.description, tenant_id=group.project_id, rules=[])
            for group in groups
        ]
        return Reply(GroupsOut(security_groups=views))


def routes(deps: Deps) -> list[Route]:
    servers = ServerLogic(deps.database, deps.clock, deps.options)
    groups = ServerSecurityGroups(servers, ServerNetworkLogic(deps.database, deps.clock, deps.networks))
    return below_server(
        deps,
        Route(
            "GET", SERVER + "/os-security-groups", groups.list, f"{RULE}:list", reply=GroupsOut,
            summary="List a server's security groups, without their rules.",
        ),
    )  # fmt: skip


SERVER_SECURITY_GROUPS = Resource(routes, RULES)
