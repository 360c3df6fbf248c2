"""Guests that ask a router on another host for metadata: which they are, and the grant by which that host may pass it on."""

from __future__ import annotations

from kilonova.core.addresses import parse_address
from kilonova.core.grants import METADATA, Grant, Grants
from kilonova.network.agent.dataplane import MetadataCaller
from kilonova.network.deps import Deps
from kilonova.network.store import hosts as store

GRANTED = 60.0  # seconds


class MetadataCallers:
    def __init__(self, deps: Deps, grants: Grants) -> None:
        self.deps, self.grants = deps, grants

    async def find(self, host: str, network_id: str, ip_address: str) -> MetadataCaller | None:
        """As NetworkPluginAPI.metadata_caller: a port that some host has bound, on a network where `host` has a router."""
        try:
            address = str(parse_address(ip_address))
        except ValueError:
            return None
        async with self.deps.database.reading() as connection:
            row = await store.routed_guest(connection, host, network_id, address)
        if row is None:
            return None
        until = self.deps.clock.now().timestamp() + GRANTED
        grant = Grant(server=row.device_id, host=host, project=row.project_id, use=METADATA, until=until)
        return MetadataCaller(device_id=row.device_id, project_id=row.project_id, grant=self.grants.sign(grant))
