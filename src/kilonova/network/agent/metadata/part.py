"""The metadata part: a listener in each network's namespace, and which address belongs to which guest."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable

from kilonova.network.agent.dataplane import Leftover
from kilonova.network.agent.metadata.proxy import Caller, MetadataProxy, MetadataUpstream
from kilonova.network.agent.model import HostModel, NetworkModel
from kilonova.network.agent.parts import Metadata
from kilonova.network.agent.system.names import clean_ip


class NamespaceMetadata(Metadata):
    """Its sockets end with the process: it leaves nothing on the host."""

    def __init__(self, upstream: MetadataUpstream) -> None:
        self._callers: dict[tuple[str, str], Caller] = {}
        self._proxy = MetadataProxy(upstream, lambda network_id, source: self._callers.get((network_id, source)))

    async def open(self) -> set[str]:
        return set()

    def serves(self, network: NetworkModel) -> bool:
        return any(subnet.dhcp_ip and "." in subnet.dhcp_ip for subnet in network.subnets)

    def know(self, state: HostModel) -> None:
        self._callers = dict(_callers(state))

    async def ensure(self, network: NetworkModel) -> None:
        await self._proxy.ensure(network.id)

    async def remove(self, network_id: str) -> None:
        self._proxy.remove(network_id)

    async def leftovers(self, networks: Collection[str]) -> list[Leftover]:
        return []

    async def close(self, *, remove: bool = False) -> None:
        self._proxy.close()


def _callers(state: HostModel) -> Iterable[tuple[tuple[str, str], Caller]]:
    for network in state.networks:
        for port in network.ports:
            if port.device_id and not port.device_owner.startswith("network:"):
                for fixed in port.fixed_ips:
                    with contextlib.suppress(ValueError):
                        yield (network.id, clean_ip(fixed.ip_address)), (port.device_id, port.project_id)
