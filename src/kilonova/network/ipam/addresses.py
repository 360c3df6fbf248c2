"""Addresses as numbers: pools, and which of their addresses are free."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from kilonova.core.db import Connection
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.store import ports as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.subnets import SubnetRow

LOOK_AHEAD = 64  # addresses looked at beyond those wanted, before the whole pool is


class Range(msgspec.Struct, frozen=True):
    """Addresses from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{ipaddress.IPv4Address(self.first)}-{ipaddress.IPv4Address(self.last)}"

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    @property
    def size(self) -> int:
        return self.last - self.first + 1


def parse_address(text: str, what: str = "ip_address") -> int:
    """Raises InvalidInput."""
    try:
        return int(ipaddress.IPv4Address(text))  # takes no scope id
    except ValueError:
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for {what}. Reason: '{text}' is not a valid IP address."
        ) from None


def text_of(address: int) -> str:
    return str(ipaddress.IPv4Address(address))


def pools_of(subnet: SubnetRow) -> list[Range]:
    return [Range(parse_address(first), parse_address(last)) for first, last in subnet.allocation_pools]


def usable(network: ipaddress.IPv4Network, address: int) -> bool:
    """Whether a host may have the address: within the network, and neither its own nor its broadcast address."""
    if network.prefixlen >= 31:
        return ipaddress.IPv4Address(address) in network
    return int(network.network_address) < address < int(network.broadcast_address)


def whole(network: ipaddress.IPv4Network) -> Range:
    """All usable addresses."""
    first, last = int(network.network_address), int(network.broadcast_address)
    return Range(first, last) if network.prefixlen >= 31 else Range(first + 1, last - 1)


def without(pool: Range, address: int | None) -> list[Range]:
    """The pool with one address taken out."""
    if address is None or address not in pool:
        return [pool]
    parts = [Range(pool.first, address - 1), Range(address + 1, pool.last)]
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
            before.append(Range(pool.first, start - 1))
            after.append(Range(start, pool.last))
    return after + before


def front(ranges: Sequence[Range], size: int) -> list[Range]:
    """The first `size` addresses of the ranges."""
    found: list[Range] = []
    for part in ranges:
        if size <= 0:
            break
        found.append(Range(part.first, min(part.last, part.first + size - 1)))
        size -= found[-1].size
    return found


def free(ranges: Iterable[Range], taken: set[int]) -> Iterator[int]:
    """Addresses that are not taken, in order; as many steps as there are taken ones and wanted ones."""
    for part in ranges:
        for address in range(part.first, part.last + 1):
            if address not in taken:
                yield address


class Want(msgspec.Struct, frozen=True):
    """One address for a port: this one, any of a subnet, or (both None) any of the network."""

    subnet_id: str | None = None
    address: int | None = None


class Allocator:
    """Gives out addresses of the subnets of some networks within one transaction. The subnets' rows are locked, so what is
    read here stays true until the commit; UNIQUE(subnet_id, address) ensures it."""

    def __init__(self, connection: Connection, subnets: Sequence[SubnetRow]) -> None:
        self.connection = connection
        self.subnets = {subnet.id: subnet for subnet in subnets}
        self.by_network: defaultdict[str, list[SubnetRow]] = defaultdict(list)
        for subnet in subnets:
            self.by_network[subnet.network_id].append(subnet)
        self._given: defaultdict[str, set[int]] = defaultdict(set)
        self._next: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []

    @classmethod
    async def on(cls, connection: Connection, network_ids: Iterable[str]) -> Allocator:
        return cls(connection, await subnet_store.of_networks(connection, network_ids, lock=True))

    async def give(self, network_id: str, wants: Sequence[tuple[str, Want]]) -> None:
        """Addresses for (port id, want) pairs, in order; particular addresses are served first. Raises IpAddressInUse,
        InvalidIpForSubnet, InvalidIpForNetwork, IpAddressGenerationFailure."""
        chosen: dict[int, tuple[str, int]] = {}
        particular = [(n, want) for n, (_, want) in enumerate(wants) if want.address is not None]
        for n, want in particular:
            chosen[n] = (self._subnet_for(network_id, want), want.address or 0)
        await self._check_free(network_id, list(chosen.values()))
        any_of: defaultdict[str | None, list[int]] = defaultdict(list)
        for n, (_, want) in enumerate(wants):
            if want.address is None:
                any_of[want.subnet_id].append(n)
        for subnet_id in sorted(any_of, key=lambda s: s is None):  # requests that leave the choice come last
            places = [self._known(network_id, subnet_id)] if subnet_id else self.by_network[network_id]
            chosen |= dict(
                zip(any_of[subnet_id], await self._any(network_id, places, len(any_of[subnet_id])), strict=True)
            )
        for n, (port_id, _) in enumerate(wants):
            subnet_id, address = chosen[n]
            self.rows.append(
                {"port_id": port_id, "subnet_id": subnet_id, "address": address, "ip_address": text_of(address)}
            )

    async def save(self) -> None:
        """Write what was given."""
        await store.give_addresses(self.connection, self.rows)
        async for subnet_id, address in yielding(self._next.items()):
            await subnet_store.advance(self.connection, subnet_id, address)

    def _known(self, network_id: str, subnet_id: str) -> SubnetRow:
        subnet = self.subnets.get(subnet_id)
        if subnet is None or subnet.network_id != network_id:
            raise errors.InvalidInput(
                reason=f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {subnet_id}"
            )
        return subnet

    def _subnet_for(self, network_id: str, want: Want) -> str:
        address = want.address or 0
        if want.subnet_id is not None:
            subnet = self._known(network_id, want.subnet_id)
            if not usable(ipaddress.IPv4Network(subnet.cidr), address):
                raise errors.InvalidIpForSubnet(ip_address=text_of(address))
            return want.subnet_id
        for subnet in self.by_network[network_id]:
            if usable(ipaddress.IPv4Network(subnet.cidr), address):
                return str(subnet.id)
        raise errors.InvalidIpForNetwork(ip_address=text_of(address))

    async def _check_free(self, network_id: str, wanted: list[tuple[str, int]]) -> None:
        by_subnet: defaultdict[str, list[int]] = defaultdict(list)
        for subnet_id, address in wanted:
            if address in self._given[subnet_id]:
                raise errors.IpAddressInUse(network_id=network_id, ip_address=text_of(address))
            self._given[subnet_id].add(address)
            by_subnet[subnet_id].append(address)
        for subnet_id, addresses in by_subnet.items():
            for address in await store.taken(self.connection, subnet_id, [(a, a) for a in addresses]):
                raise errors.IpAddressInUse(network_id=network_id, ip_address=text_of(address))

    async def _any(self, network_id: str, places: Sequence[SubnetRow], count: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for subnet in places:
            found += [(subnet.id, a) for a in await self._next_free(subnet, count - len(found))]
            if len(found) == count:
                return found
        raise errors.IpAddressGenerationFailure(network_id=network_id)

    async def _next_free(self, subnet: SubnetRow, count: int) -> list[int]:
        """At most `count` free addresses: close behind the last one given, else anywhere in the pools."""
        ranges = ahead(pools_of(subnet), self._next.get(subnet.id, subnet.next_address))
        near = front(ranges, count + len(self._given[subnet.id]) + LOOK_AHEAD)
        found: list[int] = []
        for window in (near, ranges):
            if not window:
                break
            taken = await store.taken(self.connection, subnet.id, [(r.first, r.last) for r in window])
            taken |= self._given[subnet.id]
            found = [address for address, _ in zip(free(window, taken), range(count), strict=False)]
            if len(found) == count or window == ranges:
                break
        if found:
            self._given[subnet.id].update(found)
            self._next[subnet.id] = found[-1] + 1
        return found
