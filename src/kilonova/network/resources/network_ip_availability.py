"""How many addresses networks have, and how many of them are in use."""

from __future__ import annotations

from collections import defaultdict

from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.ipam.ranges import pools_of
from kilonova.network.resources.base.resource import ID, V2, Api, Extension, Resource
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.subnets import SubnetRow

MOST = 2**64 - 1
"""JSON readers take no larger number: IPv6 subnets together may have more addresses."""


class SubnetIpAvailability(View, kw_only=True):
    subnet_id: str
    subnet_name: str
    cidr: str
    ip_version: int
    total_ips: int
    used_ips: int


class NetworkIpAvailability(View, kw_only=True):
    network_id: str
    network_name: str
    project_id: str
    tenant_id: str
    total_ips: int
    used_ips: int
    subnet_ip_availability: list[SubnetIpAvailability]


Subnets = list[SubnetIpAvailability]
Availabilities = list[NetworkIpAvailability]


class AvailabilityBody(View):
    network_ip_availability: NetworkIpAvailability


class AvailabilitiesBody(View):
    network_ip_availabilities: list[NetworkIpAvailability]


class Availability:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def list(self, call: Call) -> Reply:
        return Reply(AvailabilitiesBody(network_ip_availabilities=await self._of(None)))

    async def show(self, call: Call, id: str) -> Reply:
        return Reply(AvailabilityBody(network_ip_availability=(await self._of(id))[0]))

    async def _of(self, network_id: str | None) -> Availabilities:
        """Of one network or all."""
        where = NETWORKS.conditions({"id": [network_id]} if network_id else {})
        async with self.deps.database.reading() as connection:
            rows = await NETWORKS.page(connection, where) or []
            subnets = await subnet_store.of_networks(connection, [row.id for row in rows])
            used = await subnet_store.used_by_subnet(connection)
        if network_id is not None and not rows:
            raise errors.NetworkNotFound(id=network_id)
        by_network: defaultdict[str, Subnets] = defaultdict(Subnets)
        for subnet in subnets:
            by_network[subnet.network_id].append(_of_subnet(subnet, used.get(subnet.id, 0)))
        return [_of_network(row, by_network[row.id]) for row in rows]


def _of_subnet(row: SubnetRow, used: int) -> SubnetIpAvailability:
    total = sum(pool.size for pool in pools_of(row))
    return SubnetIpAvailability(
        subnet_id=row.id,
        subnet_name=row.name,
        cidr=row.cidr,
        ip_version=row.ip_version,
        total_ips=min(total, MOST),
        used_ips=used,
    )


def _of_network(row: NetworkRow, subnets: Subnets) -> NetworkIpAvailability:
    return NetworkIpAvailability(
        network_id=row.id,
        network_name=row.name,
        project_id=row.project_id,
        tenant_id=row.project_id,
        total_ips=min(MOST, sum(subnet.total_ips for subnet in subnets)),
        used_ips=sum(subnet.used_ips for subnet in subnets),
        subnet_ip_availability=subnets,
    )


def routes(api: Api) -> list[Route]:
    handlers, path, rule = Availability(api.deps), f"{V2}/network-ip-availabilities", "get_network_ip_availability"
    return [
        Route(
            "GET", path, handlers.list, rule, reply=AvailabilitiesBody, summary="List the availability of addresses."
        ),
        Route("GET", path + ID, handlers.show, rule, reply=AvailabilityBody, summary="Show a network's availability."),
    ]


NETWORK_IP_AVAILABILITY_RESOURCE = Resource(
    routes,
    {"get_network_ip_availability": ADMIN},
    extensions=(
        Extension(
            "network-ip-availability", "Network IP Availability", "2015-09-24T00:00:00-00:00",
            "How many addresses are in use",
        ),
    ),
)  # fmt: skip
