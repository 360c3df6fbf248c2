"""What a router may be joined to, and where its routes may lead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kilonova.core.addresses import parse_address, parse_interface, parse_network
from kilonova.core.db import Connection
from kilonova.network import device_owners
from kilonova.network.resources.routers import errors
from kilonova.network.resources.routers.schemas import MAX_ROUTES
from kilonova.network.resources.subnets.schemas import HostRoute
from kilonova.network.store import routers as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.subnets import SubnetRow

Pairs = list[list[str]]


def routes(router_id: str, asked: Sequence[HostRoute]) -> Pairs:
    """[destination, nexthop] pairs as they are kept. Raises InvalidRoutes, RoutesExhausted."""
    check_count(router_id, asked)
    found: Pairs = []
    for item in asked:
        pair = [_network(item), _address(item)]
        if pair in found:
            raise errors.InvalidRoutes(routes=_shown(asked), reason=f"duplicate route {pair[0]} via {pair[1]}")
        found.append(pair)
    return found


def check_count(router_id: str, found: Sequence[object]) -> None:
    if len(found) > MAX_ROUTES:
        raise errors.RoutesExhausted(id=router_id, quota=MAX_ROUTES)


def _network(item: HostRoute) -> str:
    try:
        found = parse_interface(item.destination)
        if found.ip != found.network.network_address:
            raise ValueError(
                f"'{item.destination}' isn't a recognized IP subnet cidr, '{found.network}' is recommended"
            )
    except ValueError as error:
        raise errors.InvalidRoutes(routes=_shown([item]), reason=str(error)) from None
    return str(found.network)


def _address(item: HostRoute) -> str:
    try:
        return str(parse_address(item.nexthop))
    except ValueError as error:
        raise errors.InvalidRoutes(routes=_shown([item]), reason=str(error)) from None


def _shown(asked: Iterable[HostRoute]) -> list[dict[str, str]]:
    return [{"destination": item.destination, "nexthop": item.nexthop} for item in asked]


async def check_routes(connection: Connection, router_id: str, pairs: Sequence[Sequence[str]]) -> None:
    """Every next hop is a neighbour on one of the router's networks. Raises InvalidRoutes."""
    if not pairs:
        return
    held = (await store.ports_of(connection, [router_id])).get(router_id, [])
    addresses = await store.addresses_of(connection, [port.id for port in held])
    prefixes = {parse_network(address.cidr) for address in addresses}
    own = {address.ip_address for address in addresses}
    for destination, nexthop in pairs:
        refused = [{"destination": destination, "nexthop": nexthop}]
        hop = parse_address(nexthop)
        if not any(hop.version == prefix.version and hop in prefix for prefix in prefixes):
            raise errors.InvalidRoutes(routes=refused, reason="the nexthop is not connected with router")
        if nexthop in own:
            raise errors.InvalidRoutes(routes=refused, reason="the nexthop is used by router")


async def check_subnets(connection: Connection, router_id: str, new: Sequence[SubnetRow]) -> None:
    """The router is on none of these subnets yet, nor on one that overlaps; all of its gateway's network count."""
    held = (await store.ports_of(connection, [router_id])).get(router_id, [])
    addresses = await store.addresses_of(connection, [port.id for port in held])
    joined: dict[str, SubnetRow] = {address.id: address for address in addresses}
    for subnet in new:
        if subnet.id in joined:
            raise errors.BadRequest(resource="router", reason=f"Router already has a port on subnet {subnet.id}")
    external = [port.network_id for port in held if port.owner == device_owners.GATEWAY]
    joined |= {subnet.id: subnet for subnet in await subnet_store.of_networks(connection, external)}
    for subnet in new:
        for other in joined.values():
            check_overlap(subnet, other)


def check_overlap(new: SubnetRow, old: SubnetRow) -> None:
    ours, theirs = parse_network(new.cidr), parse_network(old.cidr)
    if ours.version == theirs.version and ours.overlaps(theirs):
        raise errors.BadRequest(
            resource="router",
            reason=f"Cidr {new.cidr} of subnet {new.id} overlaps with cidr {old.cidr} of subnet {old.id}",
        )
