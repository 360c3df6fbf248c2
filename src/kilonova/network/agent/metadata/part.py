"""The metadata part: a listener in each network's namespace, and which address belongs to which guest."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable

from kilonova.core.addresses import parse_interface
from kilonova.network import device_owners
from kilonova.network.agent.dataplane import FindCaller, Leftover, MetadataCaller
from kilonova.network.agent.metadata.proxy import MetadataProxy, MetadataUpstream
from kilonova.network.agent.model import HostModel, NetworkModel, RouterModel, dhcp_namespace, router_namespace
from kilonova.network.agent.parts import Metadata
from kilonova.network.agent.system.names import METADATA_ADDRESS, ROUTER_METADATA_PORT, clean_ip


class NamespaceMetadata(Metadata):
    """Its sockets end with the process: it leaves nothing on the host."""

    def __init__(self, upstream: MetadataUpstream) -> None:
        self._callers: dict[tuple[str, str], MetadataCaller] = {}  # on this host, by network and address
        self._elsewhere: FindCaller | None = None
        self._routers: dict[str, dict[str, str]] = {}  # router → its addresses, each with the id of its network
        self._proxy = MetadataProxy(upstream, self._find)

    def find_callers(self, find: FindCaller) -> None:
        self._elsewhere = find

    async def _find(self, place: str, local: str, source: str) -> MetadataCaller | None:
        """`place` is a network, or a router that was asked at its address `local`: by a guest of any host."""
        if place not in self._routers:
            return self._callers.get((place, source))
        network_id = self._routers[place].get(local, "")
        found = self._callers.get((network_id, source))
        if found is not None or not network_id or self._elsewhere is None:
            return found
        return await self._elsewhere(network_id, source)

    async def open(self) -> set[str]:
        return set()

    def serves(self, network: NetworkModel) -> bool:
        return any(subnet.dhcp_ip and "." in subnet.dhcp_ip for subnet in network.subnets)

    def know(self, state: HostModel) -> None:
        self._callers = dict(_callers(state))

    async def ensure(self, network: NetworkModel) -> None:
        await self._proxy.ensure(network.id, dhcp_namespace(network.id), (METADATA_ADDRESS, 80))

    async def remove(self, network_id: str) -> None:
        self._proxy.remove(network_id)

    async def ensure_router(self, router: RouterModel) -> None:
        """At all addresses: the router's rules drop what was not sent to the metadata address by a guest."""
        self._routers[router.id] = {
            str(parse_interface(address).ip): interface.network_id
            for interface in router.interfaces
            for address in interface.addresses
        }
        everywhere = ("0.0.0.0", ROUTER_METADATA_PORT)  # noqa: S104 - see above
        await self._proxy.ensure(router.id, router_namespace(router.id), everywhere)

    async def remove_router(self, router_id: str) -> None:
        self._proxy.remove(router_id)
        self._routers.pop(router_id, None)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return []

    async def close(self, *, remove: bool = False) -> None:
        self._proxy.close()


def _callers(state: HostModel) -> Iterable[tuple[tuple[str, str], MetadataCaller]]:
    """Of other hosts' ports it is not known here when they go."""
    for network in state.networks:
        for port in network.ports:
            if port.local and port.device_id and not port.device_owner.startswith(device_owners.SERVICES):
                for fixed in port.fixed_ips:
                    with contextlib.suppress(ValueError):
                        caller = MetadataCaller(device_id=port.device_id, project_id=port.project_id)
                        yield (network.id, clean_ip(fixed.ip_address)), caller
