"""Prefixes of new subnets, from subnet pools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kilonova.core.addresses import IPNetwork, parse_network
from kilonova.core.db import Connection
from kilonova.core.errors import KilonovaError
from kilonova.network.ipam import prefixes
from kilonova.network.resources.address_scopes.errors import NetworkAddressScopeAffinityError
from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.resources.base.facts import Seeing
from kilonova.network.resources.base.visible import visible_shared
from kilonova.network.resources.subnetpools import errors, plan
from kilonova.network.resources.subnets.schemas import SubnetCreate
from kilonova.network.store import subnetpools as store
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.subnetpools import SUBNETPOOLS, SubnetPoolRow
from kilonova.network.store.subnets import SubnetRow

Held = Mapping[str, Sequence[SubnetRow]]
"""Subnets by network."""


class Pools:
    """The pools that the new subnets of one request, or others on their networks, have their prefixes from. They are locked until
    the transaction ends, so that no prefix is given twice and no pool changes its scope meanwhile.

    Each new subnet takes its prefix with `take`; what one takes is taken for the next."""

    def __init__(self, pools: Mapping[str, SubnetPoolRow], taken: Iterable[store.TakenRow], held: Held) -> None:
        self.pools = pools
        self._taken: defaultdict[str, list[tuple[str, IPNetwork]]] = defaultdict(list)  # project, prefix by pool
        for row in taken:
            self._taken[row.subnetpool_id].append((row.project_id, parse_network(row.cidr)))
        self._sources: defaultdict[tuple[str, int], set[str | None]] = defaultdict(set)
        for network_id, subnets in held.items():
            for subnet in subnets:
                self._sources[network_id, subnet.ip_version].add(subnet.subnetpool_id)

    @classmethod
    async def of(cls, connection: Connection, wanted: Iterable[str | None], held: Held) -> Pools:
        """`wanted` are the ids of the pools that new subnets name."""
        asked = {pool_id for pool_id in wanted if pool_id is not None}
        used = {one.subnetpool_id for subnets in held.values() for one in subnets if one.subnetpool_id is not None}
        if not asked | used:
            return cls({}, (), held)
        return cls(
            await store.lock(connection, asked | used), await store.taken_from(connection, asked) if asked else (), held
        )

    def take(
        self, network: NetworkRow, body: SubnetCreate, project_id: str, pool_id: str | None, cidr: IPNetwork | None
    ) -> IPNetwork:
        """The prefix of a new subnet: the one that it names, or any. Raises what speaks against it."""
        pool = self._pool(pool_id, body.ip_version)
        self._check_source(network.id, body.ip_version, pool)
        if pool is None:
            if cidr is None:
                raise BadRequest(resource="subnets", reason="a subnetpool must be specified in the absence of a cidr")
            return cidr
        prefixlen = cidr.prefixlen if cidr is not None else body.prefixlen
        found = self._allocate(pool, project_id, pool.default_prefixlen if prefixlen is None else prefixlen, cidr)
        self._taken[pool.id].append((project_id, found))
        return found

    def _pool(self, pool_id: str | None, version: int) -> SubnetPoolRow | None:
        if pool_id is None:
            return None
        pool = self.pools.get(pool_id)
        if pool is None:  # deleted since it was found
            raise errors.SubnetPoolNotFound(id=pool_id)
        if pool.ip_version != version:
            reason = f"Cannot allocate IPv{version} subnet from IPv{pool.ip_version} subnet pool"
            raise BadRequest(resource="subnets", reason=reason)
        return pool

    def _check_source(self, network_id: str, version: int, pool: SubnetPoolRow | None) -> None:
        """All subnets of a network and IP version are from one pool, or from pools of one address scope."""
        sources = self._sources[network_id, version]
        pools = [self.pools[one] for one in sources if one is not None]
        scopes = {one.address_scope_id for one in pools if one.address_scope_id is not None}
        if scopes and pool is not None and pool.address_scope_id not in scopes:
            raise NetworkAddressScopeAffinityError
        own = pool.id if pool is not None else None
        if sources - {own} and not (scopes and own is not None):
            raise errors.NetworkSubnetPoolAffinityError
        sources.add(own)

    def _allocate(self, pool: SubnetPoolRow, project_id: str, prefixlen: int, cidr: IPNetwork | None) -> IPNetwork:
        if prefixlen > pool.max_prefixlen:
            raise errors.MaxPrefixSubnetAllocationError(prefixlen=prefixlen, most=pool.max_prefixlen)
        if prefixlen < pool.min_prefixlen:
            raise errors.MinPrefixSubnetAllocationError(prefixlen=prefixlen, least=pool.min_prefixlen)
        self._check_quota(pool, project_id, prefixlen)
        taken = prefixes.spans(prefix for _, prefix in self._taken[pool.id])
        free = prefixes.without(plan.held(pool.prefixes), taken)
        if cidr is not None:
            if not prefixes.covers(free, prefixes.spans([cidr])):
                raise errors.SubnetAllocationError(
                    reason="Cannot allocate requested subnet from the available set of prefixes"
                )
            return cidr
        found = prefixes.fitting(prefixes.prefixes(free, pool.ip_version), prefixlen)
        if found is None:
            raise errors.SubnetAllocationError(reason=f"Insufficient prefix space to allocate subnet size /{prefixlen}")
        return found

    def _check_quota(self, pool: SubnetPoolRow, project_id: str, prefixlen: int) -> None:
        """`default_quota` of 0 limits nothing. A prefix that is longer than those counted is a part of one."""
        if not pool.default_quota:
            return
        unit = plan.FAMILIES[pool.ip_version].counted
        lengths = [prefix.prefixlen for project, prefix in self._taken[pool.id] if project == project_id]
        if sum(2.0 ** (unit - length) for length in [*lengths, prefixlen]) > pool.default_quota:
            raise errors.SubnetPoolQuotaExceeded


async def pool_of(connection: Connection, body: SubnetCreate, seeing: Seeing) -> str | None:
    """The id of the pool that a new subnet names, or is the default one; None for none."""
    pool_id, missing = body.subnetpool_id, _missing(body)
    if pool_id is None and not body.use_default_subnetpool:
        return None
    if pool_id is None:
        default = await store.default(connection, body.ip_version)
        if default is None:
            raise missing
        pool_id = default.id
    return (await visible_shared(connection, SUBNETPOOLS, pool_id, seeing.subnetpool, missing)).id


def _missing(body: SubnetCreate) -> KilonovaError:
    if body.subnetpool_id is not None:
        return errors.SubnetPoolNotFound(id=body.subnetpool_id)
    return BadRequest(resource="subnets", reason=f"No default subnetpool found for IPv{body.ip_version}")
