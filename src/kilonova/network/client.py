"""The only interface to the network service for other services."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.wire import View
from kilonova.network.resources.address_groups.schemas import AddressGroup as AddressGroupRecord
from kilonova.network.resources.auto_allocated_topology.schemas import TopologyBody
from kilonova.network.resources.floating_ips.schemas import FloatingIP as FloatingIPRecord
from kilonova.network.resources.networks.schemas import Network as NetworkRecord
from kilonova.network.resources.ports.schemas import COMING
from kilonova.network.resources.ports.schemas import WIRE as PORT_WIRE
from kilonova.network.resources.ports.schemas import Port as PortRecord
from kilonova.network.resources.security_group_rules.schemas import Rule as SecurityGroupRuleRecord
from kilonova.network.resources.security_groups.schemas import Group as SecurityGroupRecord
from kilonova.network.resources.subnets.schemas import Subnet as SubnetRecord

__all__ = [
    "FloatingIPRecord", "NetworkClient", "NetworkRecord", "PortRecord", "PortRequest", "SecurityGroupRecord",
    "SecurityGroupRuleRecord", "SubnetRecord",
]  # fmt: skip
CHUNK = 100  # ids in one URL


class NetworkBody(View):
    network: NetworkRecord


class NetworksBody(View):
    networks: list[NetworkRecord]


class SubnetsBody(View):
    subnets: list[SubnetRecord]


class PortBody(View):
    port: PortRecord


class PortsBody(View):
    ports: list[PortRecord]


class FloatingIPBody(View):
    floatingip: FloatingIPRecord


class FloatingIPsBody(View):
    floatingips: list[FloatingIPRecord]


class GroupBody(View):
    security_group: SecurityGroupRecord


class GroupsBody(View):
    security_groups: list[SecurityGroupRecord]


class AddressGroupsBody(View):
    address_groups: list[AddressGroupRecord]


class RuleBody(View):
    security_group_rule: SecurityGroupRuleRecord


class PortRequest(msgspec.Struct, kw_only=True, omit_defaults=True, rename=PORT_WIRE):
    """A port to make. With `id`, repeating the request gives the same port. `fixed_ips` holds dicts with `subnet_id`,
    `ip_address` or both; `security_groups` ids, None for the project's default group, [] for none."""

    network_id: str
    project_id: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    name: str = ""
    device_id: str = ""
    device_owner: str = ""
    host_id: str = ""
    mac_address: str | msgspec.UnsetType = msgspec.UNSET
    fixed_ips: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET
    security_groups: list[str] | None = None
    port_security_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    dns_name: str = ""
    tags: list[str] = []


class NetworkClient:
    """With `ctx` on behalf of the caller it names, without with the component's own account, which sees everything."""

    def __init__(self, core: Core) -> None:
        self._http = core.client("network", "/v2.0")

    def granted(self, grant: str) -> Self:
        """The same for a compute host, with the grant of one of its servers."""
        other = copy.copy(self)
        other._http = self._http.granted(grant)
        return other

    async def networks(self, ctx: RequestContext | None = None, **filters: Any) -> list[NetworkRecord]:
        """Networks by attribute; for a caller its own, shared and external ones."""
        return (await self._http.get("/networks" + _query(filters), NetworksBody, ctx=ctx)).networks

    async def network(self, network_id: str, ctx: RequestContext | None = None) -> NetworkRecord:
        """Raises NotFound."""
        return (await self._http.get(f"/networks/{network_id}", NetworkBody, ctx=ctx)).network

    async def subnets(self, ctx: RequestContext | None = None, **filters: Any) -> list[SubnetRecord]:
        """Subnets by attribute, e.g. `network_id=[…]`."""
        return (await self._http.get("/subnets" + _query(filters), SubnetsBody, ctx=ctx)).subnets

    async def auto_allocated(self, project_id: str, ctx: RequestContext | None = None) -> str:
        """The id of the project's network with a router to the outside, made where there is none. Raises Conflict when what it is
        made from is missing, or over quota."""
        path = f"/auto-allocated-topology/{project_id}"
        return (await self._http.get(path, TopologyBody, ctx=ctx)).auto_allocated_topology.id

    async def port(self, port_id: str, ctx: RequestContext | None = None) -> PortRecord:
        """Raises NotFound."""
        return (await self._http.get(f"/ports/{port_id}", PortBody, ctx=ctx)).port

    async def ports(self, ctx: RequestContext | None = None, **filters: Any) -> list[PortRecord]:
        """Ports by attribute, e.g. `id=[…]`, `network_id=…`."""
        return (await self._http.get("/ports" + _query(filters), PortsBody, ctx=ctx)).ports

    async def ports_of(self, device_ids: Iterable[str], ctx: RequestContext | None = None) -> list[PortRecord]:
        """Ports of these servers, for up to 100 of them in one request."""
        ids = list(device_ids)
        parts = [ids[n : n + CHUNK] for n in range(0, len(ids), CHUNK)]
        found = await asyncio.gather(*(self.ports(ctx, device_id=part) for part in parts))
        return [port for part in found for port in part]

    async def floating_ips(self, ctx: RequestContext | None = None, **filters: Any) -> list[FloatingIPRecord]:
        """Floating IPs by attribute, e.g. `port_id=[…]`."""
        return (await self._http.get("/floatingips" + _query(filters), FloatingIPsBody, ctx=ctx)).floatingips

    async def create_floating_ip(self, values: dict[str, Any], ctx: RequestContext | None = None) -> FloatingIPRecord:
        """`values` by the wire's names. Raises NotFound (network), BadRequest, Conflict (no address left, over quota)."""
        body = {"floatingip": values}
        return (await self._http.send("POST", "/floatingips", body, FloatingIPBody, ctx=ctx)).floatingip

    async def update_floating_ip(
        self, floating_ip_id: str, changes: dict[str, Any], ctx: RequestContext | None = None
    ) -> FloatingIPRecord:
        """Raises NotFound, BadRequest, Conflict (the fixed address has one)."""
        path, body = f"/floatingips/{floating_ip_id}", {"floatingip": changes}
        return (await self._http.send("PUT", path, body, FloatingIPBody, ctx=ctx)).floatingip

    async def delete_floating_ip(self, floating_ip_id: str, ctx: RequestContext | None = None) -> None:
        """Raises NotFound."""
        await self._http.request("DELETE", f"/floatingips/{floating_ip_id}", ctx=ctx)

    async def security_groups(self, ctx: RequestContext | None = None, **filters: Any) -> list[SecurityGroupRecord]:
        """Security groups by attribute, e.g. `name=[…]`, `id=[…]`, `project_id=…`."""
        return (await self._http.get("/security-groups" + _query(filters), GroupsBody, ctx=ctx)).security_groups

    async def address_groups(self) -> list[AddressGroupRecord]:
        """All that there are."""
        return (await self._http.get("/address-groups", AddressGroupsBody)).address_groups

    async def security_group(self, group_id: str, ctx: RequestContext | None = None) -> SecurityGroupRecord:
        """Raises NotFound."""
        return (await self._http.get(f"/security-groups/{group_id}", GroupBody, ctx=ctx)).security_group

    async def create_security_group(
        self, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRecord:
        """`values` by the wire's names. Raises BadRequest, Conflict (over quota too)."""
        body = {"security_group": values}
        return (await self._http.send("POST", "/security-groups", body, GroupBody, ctx=ctx)).security_group

    async def update_security_group(
        self, group_id: str, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRecord:
        """Raises NotFound, BadRequest, Conflict."""
        path, body = f"/security-groups/{group_id}", {"security_group": values}
        return (await self._http.send("PUT", path, body, GroupBody, ctx=ctx)).security_group

    async def delete_security_group(self, group_id: str, ctx: RequestContext | None = None) -> None:
        """Raises NotFound, Conflict while ports use it."""
        await self._http.request("DELETE", f"/security-groups/{group_id}", ctx=ctx)

    async def create_security_group_rule(
        self, values: dict[str, Any], ctx: RequestContext | None = None
    ) -> SecurityGroupRuleRecord:
        """Raises NotFound (group), BadRequest, Conflict (the same rule is there)."""
        body = {"security_group_rule": values}
        return (await self._http.send("POST", "/security-group-rules", body, RuleBody, ctx=ctx)).security_group_rule

    async def delete_security_group_rule(self, rule_id: str, ctx: RequestContext | None = None) -> None:
        """Raises NotFound."""
        await self._http.request("DELETE", f"/security-group-rules/{rule_id}", ctx=ctx)

    async def create_ports(
        self, requests: list[PortRequest], ctx: RequestContext | None = None, *, own: bool = True
    ) -> list[PortRecord]:
        """All of them or none, in the order asked. Raises NotFound (network, subnet, group), Conflict (address or MAC in
        use, no address left, over quota), BadRequest. By default with the component's own account: only that may bind."""
        if not requests:
            return []
        body = {"ports": requests}
        return (await self._http.send("POST", "/ports", body, PortsBody, ctx=ctx, own=own)).ports

    async def update_port(
        self, port_id: str, changes: dict[str, Any], ctx: RequestContext | None = None, *, own: bool = True
    ) -> PortRecord:
        """`changes` by the wire's names. Raises NotFound, Conflict, BadRequest."""
        body = {"port": changes}
        return (await self._http.send("PUT", f"/ports/{port_id}", body, PortBody, ctx=ctx, own=own)).port

    async def bind_port(
        self, port_id: str, host: str, *, device_id: str, device_owner: str = "compute:nova", **more: Any
    ) -> PortRecord:
        """Give an existing port to a server on a host."""
        changes = {"binding:host_id": host, "device_id": device_id, "device_owner": device_owner} | more
        return await self.update_port(port_id, changes)

    async def expect_guest(self, port: PortRecord, host: str) -> None:
        """Say on which host the port's guest is about to be, which then shows the port too; "": on none."""
        held = {} if isinstance(port.profile, msgspec.UnsetType) else port.profile
        wanted = {name: value for name, value in held.items() if name != COMING} | ({COMING: host} if host else {})
        if wanted != held:
            await self.update_port(port.id, {"binding:profile": wanted})

    async def unbind_port(self, port_id: str) -> None:
        """Take a port that the user made from its server; nothing happens when it is gone."""
        changes = {"binding:host_id": "", "device_id": "", "device_owner": "", "dns_name": "", "binding:profile": {}}
        try:
            await self.update_port(port_id, changes)
        except errors.NotFound:
            return

    async def delete_ports(self, port_ids: Iterable[str], ctx: RequestContext | None = None) -> None:
        """Ports that are gone already are no error."""
        await asyncio.gather(*(self._delete_port(port_id, ctx) for port_id in port_ids))

    async def _delete_port(self, port_id: str, ctx: RequestContext | None) -> None:
        try:
            await self._http.request("DELETE", f"/ports/{port_id}", ctx=ctx, own=True)
        except errors.NotFound:
            return


def _query(filters: dict[str, Any]) -> str:
    pairs = [
        (key, value)
        for key, values in filters.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    ]
    return "?" + urlencode(pairs) if pairs else ""
