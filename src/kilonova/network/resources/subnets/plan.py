"""What a subnet may look like: its prefix, gateway, pools, name servers and routes."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence

from msgspec import UnsetType

from kilonova.core import addresses
from kilonova.core.addresses import parse_network
from kilonova.network import errors
from kilonova.network.ipam.addresses import Range, parse_address, text_of, usable, whole, without
from kilonova.network.resources.subnets.schemas import HostRoute, Pool, SubnetCreate

MAX_NAMESERVERS = 5
MAX_ROUTES = 20


def new_cidr(body: SubnetCreate) -> ipaddress.IPv4Network:
    """The prefix of a new subnet. Raises InvalidInput and, for what this service cannot do yet, says so."""
    if body.subnetpool_id or body.use_default_subnetpool or body.prefixlen is not None:
        raise errors.HTTPBadRequest(reason="subnet pools are not supported: name a cidr")
    if body.segment_id:
        raise errors.HTTPBadRequest(reason="segments are not supported")
    if body.ip_version == 6:
        raise errors.HTTPBadRequest(reason="IPv6 subnets are not supported yet")
    if body.ipv6_ra_mode or body.ipv6_address_mode:
        raise errors.InvalidInput(reason="ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4")
    if body.cidr is None:
        raise errors.HTTPBadRequest(reason="a subnetpool must be specified in the absence of a cidr")
    cidr = _network(body.cidr, "cidr")
    reason = _unfit(cidr)
    if reason is not None:
        raise errors.InvalidInput(reason=reason)
    return cidr


def _network(text: str, what: str) -> ipaddress.IPv4Network:
    try:
        found = parse_network(text) if "/" in text else None
    except ValueError:
        found = None
    if found is None:
        raise errors.HTTPBadRequest(reason=f"Invalid input for {what}. Reason: '{text}' is not a valid IP subnet.")
    if not isinstance(found, ipaddress.IPv4Network):
        raise errors.InvalidInput(reason=f"{what} '{text}' does not match the ip_version '4'")
    return found


def _unfit(cidr: ipaddress.IPv4Network) -> str | None:
    if cidr.prefixlen == 0:
        return "0 is not allowed as CIDR prefix length"
    if cidr.is_multicast:
        return "Multicast IP subnet is not supported if enable_dhcp is True"
    if cidr.is_loopback:
        return "Loopback IP subnet is not supported if enable_dhcp is True"
    if cidr.network_address == ipaddress.IPv4Address("0.0.0.0"):  # noqa: S104 - an address to refuse
        return "First IP '0.0.0.0' of network is not supported"
    return None


def gateway(cidr: ipaddress.IPv4Network, asked: str | UnsetType | None) -> str | None:
    """None for no gateway; the first address when none was named."""
    if asked is None or asked == "":
        return None
    if isinstance(asked, UnsetType):
        return text_of(whole(cidr).first) if cidr.num_addresses > 1 else None
    address = parse_address(asked, "gateway_ip")
    if ipaddress.IPv4Address(address) in cidr and not usable(cidr, address):
        raise errors.InvalidInput(reason="Gateway is not valid on subnet")
    return text_of(address)


def pools(
    cidr: ipaddress.IPv4Network, gateway_ip: str | None, asked: Sequence[Pool] | UnsetType
) -> list[tuple[str, str]]:
    """Where addresses come from, in order; all of the subnet but its gateway when nothing was asked."""
    barred = parse_address(gateway_ip) if gateway_ip else None
    if isinstance(asked, UnsetType):
        found = without(whole(cidr), barred)
    else:
        found = sorted((_pool(cidr, pool) for pool in asked), key=lambda r: r.first)
    for one, two in itertools.pairwise(found):
        if two.first <= one.last:
            raise errors.OverlappingAllocationPools(pool_1=one, pool_2=two, cidr=cidr)
    for pool in found:
        if barred is not None and barred in pool:
            raise errors.GatewayConflictWithAllocationPools(ip_address=gateway_ip, pool=pool)
    return [(text_of(pool.first), text_of(pool.last)) for pool in found]


def _pool(cidr: ipaddress.IPv4Network, pool: Pool) -> Range:
    first, last = parse_address(pool.start, "allocation_pools"), parse_address(pool.end, "allocation_pools")
    if last < first:
        raise errors.InvalidAllocationPool(pool=f"{pool.start}-{pool.end}")
    if not (usable(cidr, first) and usable(cidr, last)):
        raise errors.OutOfBoundsAllocationPool(pool=f"{pool.start}-{pool.end}", cidr=cidr)
    return Range(first, last)


def nameservers(asked: Sequence[str]) -> list[str]:
    if len(asked) > MAX_NAMESERVERS:
        raise errors.DNSNameServersExhausted(id="new subnet", quota=MAX_NAMESERVERS)
    found = [_host(text) for text in asked]
    if len(set(found)) < len(found):
        raise errors.HTTPBadRequest(reason="Invalid input for dns_nameservers. Reason: Duplicate nameserver.")
    return found


def _host(text: str) -> str:
    try:
        return str(addresses.parse_address(text))
    except ValueError:
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for dns_nameservers. Reason: '{text}' is not a valid nameserver."
        ) from None


def routes(asked: Sequence[HostRoute]) -> list[tuple[str, str]]:
    """(destination prefix, next hop) pairs."""
    if len(asked) > MAX_ROUTES:
        raise errors.HostRoutesExhausted(id="new subnet", quota=MAX_ROUTES)
    found = [
        (str(_network(route.destination, "host_routes")), text_of(parse_address(route.nexthop, "host_routes")))
        for route in asked
    ]
    if len(set(found)) < len(found):
        raise errors.HTTPBadRequest(reason="Invalid input for host_routes. Reason: Duplicate hostroute.")
    return found
