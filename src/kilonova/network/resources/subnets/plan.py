"""What a subnet may look like: its prefix, gateway, pools, name servers and routes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from msgspec import UnsetType

from kilonova.core import addresses
from kilonova.core.addresses import IPAddress, IPNetwork, parse_network
from kilonova.network import errors
from kilonova.network.ipam.ranges import Range, parse_address, text_of, usable, whole, without
from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.resources.subnets.schemas import HostRoute, Pool, SubnetCreate

OWNER = re.compile(r"[a-z]+:")
"""What an owner of ports that a subnet is for begins with."""
"""What owners of ports begin with that subnets may be for."""
MAX_NAMESERVERS = 5
MAX_ROUTES = 20
LONGEST_WITH_DHCP = 126  # IPv6 prefix length
LEAST_MTU = {4: 68, 6: 1280}
"""IP version → what it works with."""


def given_cidr(body: SubnetCreate) -> IPNetwork | None:
    """The prefix that a new subnet names; None where it shall have one from a pool. Raises BadRequest, InvalidInput and, for what
    this service cannot do yet, says so."""
    if body.segment_id:
        raise errors.HTTPBadRequest(reason="segments are not supported")
    reason = _unclear(body)
    if reason is not None:
        raise BadRequest(resource="subnets", reason=reason)
    if body.cidr is None:
        return None
    cidr = _network(body.cidr, "cidr", body.ip_version)
    check_cidr(cidr, body)
    return cidr


def _unclear(body: SubnetCreate) -> str | None:
    """What speaks against the ways by which it says where its prefix comes from."""
    for found, reason in (
        (body.cidr is not None and body.prefixlen is not None, "cidr and prefixlen must not be supplied together"),
        (
            body.subnetpool_id is not None and body.use_default_subnetpool,
            "subnetpool_id and use_default_subnetpool cannot both be specified",
        ),
        (body.cidr is None and body.allocation_pools, "allocation_pools allowed only for specific subnet requests."),
    ):
        if found:
            return reason
    return None


def check_cidr(cidr: IPNetwork, body: SubnetCreate) -> None:
    """Raises InvalidInput."""
    reason = _unfit(cidr) or _mismatch(cidr, body)
    if reason is not None:
        raise errors.InvalidInput(reason=reason)


def _network(text: str, what: str, version: int, name: str = "") -> IPNetwork:
    """`what` is the attribute, `name` what upstream calls the part of it."""
    try:
        found = parse_network(text) if "/" in text else None
    except ValueError:
        found = None
    if found is None:
        raise errors.HTTPBadRequest(reason=f"Invalid input for {what}. Reason: '{text}' is not a valid IP subnet.")
    _check_version(found, text, name or what, version)
    return found


def _address(text: str, what: str, version: int, name: str = "") -> IPAddress:
    found = parse_address(text, what)
    _check_version(found, text, name or what, version)
    return found


def _check_version(found: IPAddress | IPNetwork, text: str, name: str, version: int) -> None:
    if found.version != version:
        raise errors.InvalidInput(reason=f"{name} '{text}' does not match the ip_version '{version}'")


def _unfit(cidr: IPNetwork) -> str | None:
    if cidr.prefixlen == 0:
        return "0 is not allowed as CIDR prefix length"
    if cidr.is_multicast:
        return "Multicast IP subnet is not supported if enable_dhcp is True"
    if cidr.is_loopback:
        return "Loopback IP subnet is not supported if enable_dhcp is True"
    if int(cidr.network_address) == 0:
        return (
            "First IP '0.0.0.0' of network is not supported"
            if cidr.version == 4
            else "IPv6 subnet '::' is not supported"
        )
    return None


def _mismatch(cidr: IPNetwork, body: SubnetCreate) -> str | None:
    """What speaks against the ways by which guests shall have their addresses."""
    modes = {"ipv6_ra_mode": body.ipv6_ra_mode, "ipv6_address_mode": body.ipv6_address_mode}
    named = {name: mode for name, mode in modes.items() if mode is not None}
    if cidr.version == 4:
        return next((f"{name} is not valid when ip_version is 4" for name in named), None)
    if body.enable_dhcp and cidr.prefixlen > LONGEST_WITH_DHCP:
        return "Subnet has a prefix length that is incompatible with DHCP service enabled"
    if named and not body.enable_dhcp:
        return "ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False"
    if len(set(named.values())) > 1:
        return (
            f"ipv6_ra_mode set to '{body.ipv6_ra_mode}' with ipv6_address_mode set to '{body.ipv6_address_mode}' is not "
            "valid. If both attributes are set, they must be the same value"
        )
    if named and "dhcpv6-stateful" not in named.values() and cidr.prefixlen != 64:
        return (
            f"Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the "
            "prefix to be /64"
        )
    return None


def gateway(cidr: IPNetwork, asked: str | UnsetType | None) -> str | None:
    """None for no gateway; the first address when none was named."""
    if asked is None or asked == "":
        return None
    if isinstance(asked, UnsetType):
        return text_of(whole(cidr).first, cidr.version) if cidr.num_addresses > 1 else None
    address = _address(asked, "gateway_ip", cidr.version)
    if cidr.version == 4 and address in cidr and not usable(cidr, address):
        raise errors.InvalidInput(reason="Gateway is not valid on subnet")
    return str(address)


def pools(cidr: IPNetwork, gateway_ip: str | None, asked: Sequence[Pool] | UnsetType) -> list[tuple[str, str]]:
    """Where addresses come from, in order; all of the subnet but its gateway when nothing was asked."""
    barred = int(parse_address(gateway_ip)) if gateway_ip else None
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
    return [(text_of(pool.first, cidr.version), text_of(pool.last, cidr.version)) for pool in found]


def _pool(cidr: IPNetwork, pool: Pool) -> Range:
    first, last = parse_address(pool.start, "allocation_pools"), parse_address(pool.end, "allocation_pools")
    if {first.version, last.version} != {cidr.version} or int(last) < int(first):
        raise errors.InvalidAllocationPool(pool=f"{pool.start}-{pool.end}")
    if not (usable(cidr, first) and usable(cidr, last)):
        raise errors.OutOfBoundsAllocationPool(pool=f"{pool.start}-{pool.end}", cidr=cidr)
    return Range(int(first), int(last), cidr.version)


def nameservers(asked: Sequence[str], version: int) -> list[str]:
    if len(asked) > MAX_NAMESERVERS:
        raise errors.DNSNameServersExhausted(id="new subnet", quota=MAX_NAMESERVERS)
    found = [_host(text, version) for text in asked]
    if len(set(found)) < len(found):
        raise errors.HTTPBadRequest(reason="Invalid input for dns_nameservers. Reason: Duplicate nameserver.")
    return found


def _host(text: str, version: int) -> str:
    try:
        found = addresses.parse_address(text)
    except ValueError:
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for dns_nameservers. Reason: '{text}' is not a valid nameserver."
        ) from None
    _check_version(found, text, "dns_nameserver", version)
    return str(found)


def routes(asked: Sequence[HostRoute], version: int) -> list[tuple[str, str]]:
    """(destination prefix, next hop) pairs."""
    if len(asked) > MAX_ROUTES:
        raise errors.HostRoutesExhausted(id="new subnet", quota=MAX_ROUTES)
    found = [
        (
            str(_network(route.destination, "host_routes", version, "destination")),
            str(_address(route.nexthop, "host_routes", version, "nexthop")),
        )
        for route in asked
    ]
    if len(set(found)) < len(found):
        raise errors.HTTPBadRequest(reason="Invalid input for host_routes. Reason: Duplicate hostroute.")
    return found


def service_types(asked: Sequence[str] | UnsetType | None) -> list[str]:
    """The owners of ports that the subnet is for, each once; none: it is for all. Raises InvalidSubnetServiceType."""
    found = [] if isinstance(asked, UnsetType) or asked is None else list(dict.fromkeys(asked))
    for one in found:
        if not OWNER.match(one):
            raise errors.InvalidSubnetServiceType(service_type=one)
    return found
