"""Ranges of addresses as numbers, and what numbers mean; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kilonova.core import addresses
from kilonova.core.addresses import IPAddress, IPNetwork, address_of, parse_network
from kilonova.network import device_owners, errors
from kilonova.network.store.subnets import SubnetRow


class Range(msgspec.Struct, frozen=True):
    """Addresses from `first` to `last`, both included."""

    first: int
    last: int
    version: int = 4

    def __str__(self) -> str:
        return f"{text_of(self.first, self.version)}-{text_of(self.last, self.version)}"

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def parse_address(text: str, what: str = "ip_address") -> IPAddress:
    """Raises HTTPBadRequest."""
    try:
        return addresses.parse_address(text)
    except ValueError:
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for {what}. Reason: '{text}' is not a valid IP address."
        ) from None


def text_of(address: int, version: int) -> str:
    return str(address_of(address, version))


def pools_of(subnet: SubnetRow) -> list[Range]:
    return [
        Range(int(parse_address(first)), int(parse_address(last)), subnet.ip_version)
        for first, last in subnet.allocation_pools
    ]


def usable(network: IPNetwork, address: IPAddress) -> bool:
    """Whether a host may have the address: within the network, and neither its own nor, of IPv4, its broadcast address."""
    return address.version == network.version and int(address) in whole(network)


def whole(network: IPNetwork) -> Range:
    """All usable addresses. IPv6 has no broadcast; the first address is that of all routers."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6:
        return Range(min(first + 1, last), last, 6)
    return Range(first, last) if network.prefixlen >= 31 else Range(first + 1, last - 1)


def without(pool: Range, address: int | None) -> list[Range]:
    """The pool with one address taken out."""
    if address is None or address not in pool:
        return [pool]
    parts = [Range(pool.first, address - 1, pool.version), Range(address + 1, pool.last, pool.version)]
    return [part for part in parts if part.size > 0]


def ahead(pools: Sequence[Range], start: int) -> list[Range]:
    """The pools' addresses in the order to try them: from `start` on, then from the beginning."""
    before: list[Range] = []
    after: list[Range] = []
    for pool in sorted(pools, key=lambda p: p.first):
        if pool.last < start:
            before.append(pool)
        elif pool.first >= start:
            after.append(pool)
        else:
            before.append(Range(pool.first, start - 1, pool.version))
            after.append(Range(start, pool.last, pool.version))
    return after + before


def front(ranges: Sequence[Range], size: int) -> list[Range]:
    """The first `size` addresses of the ranges."""
    found: list[Range] = []
    for part in ranges:
        if size <= 0:
            break
        found.append(Range(part.first, min(part.last, part.first + size - 1), part.version))
        size -= found[-1].size
    return found


def free(ranges: Iterable[Range], taken: set[int]) -> Iterator[int]:
    """Addresses that are not taken, in order; as many steps as there are taken ones and wanted ones."""
    for part in ranges:
        address = part.first
        while address <= part.last:
            if address not in taken:
                yield address
            address += 1


def automatic(subnet: SubnetRow) -> bool:
    """Whether guests make their addresses there themselves, of the prefix and their MAC: every port has one there."""
    return bool({subnet.ipv6_ra_mode, subnet.ipv6_address_mode} & {"slaac", "dhcpv6-stateless"})


def serves(subnet: SubnetRow, owner: str) -> bool:
    """Whether ports of this owner have addresses there: a subnet may be for some owners alone, and for DHCP where it has that."""
    types = subnet.service_types
    return not types or owner in types or (owner == device_owners.DHCP and subnet.enable_dhcp)


def made_of(subnet: SubnetRow, mac: str) -> IPAddress:
    """The address of an automatic subnet that belongs to a MAC (modified EUI-64)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return address_of(int(parse_network(subnet.cidr).network_address) | int.from_bytes(interface), 6)
