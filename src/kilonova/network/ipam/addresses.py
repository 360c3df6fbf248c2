"""Giving out addresses of subnets: those asked for, those that belong to a MAC, or the next free ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kilonova.core.addresses import IPAddress, parse_network
from kilonova.core.db import Connection
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.ipam.ranges import ahead, automatic, free, front, made_of, pools_of, serves, text_of, usable
from kilonova.network.store import ports as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.subnets import SubnetRow

LOOK_AHEAD = 64  # addresses looked at beyond those wanted, before the whole pool is


class Want(msgspec.Struct, frozen=True):
    """One address for a port: this one, any of a subnet, or (both None) any of the network's subnets of this version that
    are not automatic. With an `owner`, of a subnet that serves ports of this owner."""

    subnet_id: str | None = None
    address: IPAddress | None = None
    version: int = 4
    owner: str | None = None


def of_mac(subnet: SubnetRow, mac: str) -> Want:
    """What a port with this MAC has in an automatic subnet."""
    return Want(subnet_id=subnet.id, address=made_of(subnet, mac))


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
            chosen[n] = (self._subnet_for(network_id, want), int(want.address or 0))
        await self._check_free(network_id, list(chosen.values()))
        any_of: defaultdict[tuple[str, int, str | None], list[int]] = defaultdict(list)
        for n, (_, want) in enumerate(wants):
            if want.address is None:
                any_of[want.subnet_id or "", 0 if want.subnet_id else want.version, want.owner].append(n)
        for place in sorted(any_of, key=lambda one: one[1]):  # requests that leave the choice come last
            places = self._places(network_id, *place)
            chosen |= dict(zip(any_of[place], await self._any(network_id, places, len(any_of[place])), strict=True))
        for n, (port_id, _) in enumerate(wants):
            self._note(port_id, *chosen[n])

    def give_new(self, subnet_id: str, wants: Iterable[tuple[str, Want]]) -> None:
        """Addresses of a new subnet, made of the ports' MACs, so that no other port can have them: nothing is looked for."""
        for port_id, want in wants:
            self._note(port_id, subnet_id, int(want.address or 0))

    def _note(self, port_id: str, subnet_id: str, address: int) -> None:
        text = text_of(address, self.subnets[subnet_id].ip_version)
        self.rows.append({"port_id": port_id, "subnet_id": subnet_id, "address": address, "ip_address": text})

    async def save(self) -> None:
        """Write what was given."""
        await store.give_addresses(self.connection, self.rows)
        async for subnet_id, address in yielding(self._next.items()):
            await subnet_store.advance(self.connection, subnet_id, address)

    def _places(self, network_id: str, subnet_id: str, version: int, owner: str | None) -> Sequence[SubnetRow]:
        """Those for this owner alone come first."""
        if subnet_id:
            return [self._known(network_id, subnet_id, owner)]
        every = [s for s in self.by_network[network_id] if s.ip_version == version and not automatic(s)]
        return sorted((s for s in every if owner is None or serves(s, owner)), key=lambda s: not s.service_types)

    def _known(self, network_id: str, subnet_id: str, owner: str | None) -> SubnetRow:
        subnet = self.subnets.get(subnet_id)
        there = subnet is not None and subnet.network_id == network_id
        if subnet is None or not there or not (owner is None or serves(subnet, owner)):
            raise errors.InvalidInput(
                reason=f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {subnet_id}"
            )
        return subnet

    def _subnet_for(self, network_id: str, want: Want) -> str:
        if want.subnet_id is not None:
            if not _fits(self._known(network_id, want.subnet_id, want.owner), want.address):
                raise errors.InvalidIpForSubnet(ip_address=want.address)
            return want.subnet_id
        for subnet in self.by_network[network_id]:
            if _fits(subnet, want.address) and (want.owner is None or serves(subnet, want.owner)):
                return str(subnet.id)
        raise errors.InvalidIpForNetwork(ip_address=want.address)

    async def _check_free(self, network_id: str, wanted: list[tuple[str, int]]) -> None:
        by_subnet: defaultdict[str, list[int]] = defaultdict(list)
        for subnet_id, address in wanted:
            if address in self._given[subnet_id]:
                raise self._in_use(network_id, subnet_id, address)
            self._given[subnet_id].add(address)
            by_subnet[subnet_id].append(address)
        for subnet_id, addresses in by_subnet.items():
            for address in await store.taken(self.connection, subnet_id, [(a, a) for a in addresses]):
                raise self._in_use(network_id, subnet_id, address)

    def _in_use(self, network_id: str, subnet_id: str, address: int) -> errors.IpAddressInUse:
        text = text_of(address, self.subnets[subnet_id].ip_version)
        return errors.IpAddressInUse(network_id=network_id, ip_address=text)

    async def _any(self, network_id: str, places: Sequence[SubnetRow], count: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for subnet in places:
            found += [(subnet.id, a) for a in await self._next_free(subnet, count - len(found))]
            if len(found) == count:
                return found
        raise errors.IpAddressGenerationFailure(network_id=network_id)

    async def _next_free(self, subnet: SubnetRow, count: int) -> list[int]:
        """At most `count` free addresses: close behind the last one given, else anywhere in the pools."""
        ranges = ahead(pools_of(subnet), self._next.get(subnet.id, subnet.search_from))
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


def _fits(subnet: SubnetRow, address: IPAddress | None) -> bool:
    """Whether a port may have it; a router has its subnet's gateway, whatever that is."""
    network = parse_network(subnet.cidr)
    if address is None or address.version != network.version:
        return False
    return usable(network, address) or (str(address) == subnet.gateway_ip and address in network)
