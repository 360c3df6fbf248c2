"""Step 3 of a launch, the network: the networks, ports, addresses and security groups are there and may be used."""

from __future__ import annotations

import uuid
from typing import Literal

from kilonova.compute import models
from kilonova.compute.errors import AmbiguousSecurityGroup
from kilonova.compute.peers import NetworkAccess
from kilonova.compute.resources.servers import errors
from kilonova.core.context import RequestContext
from kilonova.core.errors import Conflict
from kilonova.network.client import NetworkRecord, PortRecord

DEFAULT_GROUP = "default"
NAMED = 10  # networks to choose from that a refusal names


async def resolve_networks(
    client: NetworkAccess,
    ctx: RequestContext,
    asked: list[models.NetworkRequest] | Literal["auto", "none"] | None,
    *,
    external: bool,
    most: int = 1,
) -> list[models.NetworkRequest]:
    """One request for each interface, in the order asked; [] for none. `external`: the caller may use external networks, `most`:
    for how many servers it is."""
    if asked == "none":
        return []
    if asked is None or asked == "auto":
        return await _only_network(client, ctx, must=asked == "auto")
    if most > 1:
        _check_many(asked)
    ports = await _ports(client, ctx, [r.port_id for r in asked if r.port_id])
    for request in asked:
        if request.port_id:
            request.network_id = ports[request.port_id].network_id
            request.fixed_ip = None
    await _check_networks(client, ctx, asked, external=external)
    await _check_addresses(client, ctx, asked)
    return asked


async def _only_network(client: NetworkAccess, ctx: RequestContext, *, must: bool) -> list[models.NetworkRequest]:
    """The network a client means that names none: the one it has."""
    found = [
        network
        for network in await client.networks(ctx, admin_state_up=True)
        if not network.external and (network.shared or network.project_id == ctx.project_id) and network.subnets
    ]
    if not found:
        return [await _made_network(client, ctx)] if must else []
    if len(found) > 1 and must:  # as with an automatic topology: the project's own before a shared one
        found = [network for network in found if network.project_id == ctx.project_id] or found
    if len(found) > 1:
        names = [f"{network.name} ({network.id})" for network in found[:NAMED]]
        raise errors.NetworkAmbiguous(networks=", ".join(names) + (", …" if len(found) > NAMED else ""))
    return [models.NetworkRequest(network_id=found[0].id)]


async def _made_network(client: NetworkAccess, ctx: RequestContext) -> models.NetworkRequest:
    """The project's automatic network; the network service makes it for the first server that wants it."""
    try:
        return models.NetworkRequest(network_id=await client.auto_allocated(str(ctx.project_id), ctx))
    except Conflict:  # no default pool or external network, or over quota
        raise errors.NoAutoNetwork(project_id=ctx.project_id) from None


def _check_many(asked: list[models.NetworkRequest]) -> None:
    if any(request.port_id for request in asked):
        raise errors.PortsForManyServers
    if any(request.fixed_ip for request in asked):
        raise errors.FixedIpForManyServers


async def _ports(client: NetworkAccess, ctx: RequestContext, ids: list[str]) -> dict[str, PortRecord]:
    if not ids:
        return {}
    found = {port.id: port for port in await client.ports(ctx, id=ids)}
    for port_id in ids:
        if port_id not in found or ids.count(port_id) > 1:
            raise errors.UnknownPort(port_id=port_id) if port_id not in found else errors.PortInUse(port_id=port_id)
        if found[port_id].device_id:
            raise errors.PortInUse(port_id=port_id)
        if not found[port_id].fixed_ips:
            raise errors.PortNeedsFixedIp(port_id=port_id)
    return found


async def _check_networks(
    client: NetworkAccess, ctx: RequestContext, asked: list[models.NetworkRequest], *, external: bool
) -> None:
    ids = sorted({request.network_id for request in asked if request.network_id})
    for network_id in ids:
        if not _is_uuid(network_id):
            raise errors.UnknownNetwork(network_id=network_id)
    found: dict[str, NetworkRecord] = {network.id: network for network in await client.networks(ctx, id=ids)}
    for request in asked:
        network = found.get(request.network_id or "")
        if network is None:
            raise errors.UnknownNetwork(network_id=request.network_id)
        if request.port_id:
            continue
        if not network.subnets:
            raise errors.NetworkNeedsSubnet(network_id=network.id)
        if network.external and not network.shared and not external and network.project_id != ctx.project_id:
            raise errors.ExternalNetwork(network_id=network.id)


async def _check_addresses(client: NetworkAccess, ctx: RequestContext, asked: list[models.NetworkRequest]) -> None:
    """Addresses in use are refused now; one that is taken before the port is created, the network service refuses."""
    pairs = [(request.network_id, request.fixed_ip) for request in asked if request.fixed_ip]
    for network_id, address in pairs:
        if pairs.count((network_id, address)) > 1:
            raise errors.FixedIpInUse(address=address, server_id="of this request")
        holders = await client.ports(network_id=network_id, fixed_ips=f"ip_address={address}")
        for holder in holders:
            if any(fixed.ip_address == address for fixed in holder.fixed_ips):
                mine = holder.project_id == ctx.project_id  # whose it is else, is not the caller's to know
                raise errors.FixedIpInUse(address=address, server_id=holder.device_id if mine else "unknown")


async def resolve_groups(
    client: NetworkAccess, ctx: RequestContext, wanted: list[str] | None
) -> tuple[list[str], list[str]]:
    """(ids, names) of the security groups; the project's default one when none is named. That one has no id here: the network
    service, which makes it with the first port, takes it for every port that names none."""
    if wanted is None or wanted == [DEFAULT_GROUP]:
        return [], [DEFAULT_GROUP]
    known = await client.security_groups(ctx, project_id=ctx.project_id)
    ids: list[str] = []
    names: list[str] = []
    for name in dict.fromkeys(wanted):
        matching = [group for group in known if group.id == name] or [group for group in known if group.name == name]
        if len(matching) > 1:
            raise AmbiguousSecurityGroup(name=name)
        if matching:
            ids.append(matching[0].id)
            names.append(matching[0].name)
        elif name == DEFAULT_GROUP:
            names.append(name)  # made by the network service together with the first port
        else:
            raise errors.UnknownSecurityGroup(name=name, project_id=ctx.project_id)
    return ids, names


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
