"""Hypervisors with their services, their servers and what those use."""

from __future__ import annotations

import msgspec

from kilonova.compute.liveness import Liveness
from kilonova.compute.options import ComputeOptions
from kilonova.compute.store import hypervisors as store
from kilonova.compute.store import services as service_store
from kilonova.compute.store.hypervisors import NodeRow
from kilonova.compute.store.services import ServiceRow
from kilonova.core.clock import Clock
from kilonova.core.db import Database


class Node(msgspec.Struct, kw_only=True):
    """`used` is (servers, cores, MiB, GiB); `servers` holds (uuid, the guest's name)."""

    row: NodeRow
    service: ServiceRow
    up: bool
    servers: list[tuple[str, str]] = []
    used: tuple[int, int, int, int] = (0, 0, 0, 0)


class HypervisorLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    async def nodes(self, *, like: str | None = None) -> list[Node]:
        """All whose service is known, in the order they came."""
        liveness = Liveness(self.clock.row_time(), self.options.service_down_time)
        async with self.database.reading() as connection:
            rows = await store.find(connection, like=like)
            services = {s.host: s for s in await service_store.find(connection, binary=service_store.COMPUTE)}
            loads = await store.loads(connection, [row.host for row in rows])
        found = []
        for row in rows:
            if row.host not in services:
                continue
            node = Node(row=row, service=services[row.host], up=liveness.is_up(services[row.host]))
            load = loads.get(row.host, [])
            node.servers = [(item.uuid, self.options.instance_name_template % item.id) for item in load]
            node.used = (
                len(load), sum(i.vcpus for i in load), sum(i.memory_mb for i in load),
                sum(i.flavor["root_gb"] + i.flavor.get("ephemeral_gb", 0) for i in load),
            )  # fmt: skip
            found.append(node)
        return found
