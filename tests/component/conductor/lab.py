"""A small cloud for conductor and scheduler: real bus, databases and placement; agents that record the messages they get."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from kilonova.compute import models, tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.manager import ConductorManager
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.database import MIGRATIONS
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.compute.scheduler.manager import SchedulerManager
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.store import steps
from kilonova.core.bus import MemoryBus
from kilonova.core.bus.base import Envelope
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade
from kilonova.core.db.outbox import Outbox
from kilonova.core.faults import Faults
from kilonova.network.app import NetworkService
from kilonova.network.client import NetworkClient
from kilonova.placement.app import PlacementService
from kilonova.placement.client import PlacementClient
from tests import databases
from tests.eventually import PATIENCE, until
from tests.support import PROJECT, make_core

CTX = RequestContext(request_id="req-1", user_id="u", project_id=PROJECT)
FLAVOR = models.Flavor(id="1", name="small", vcpus=1, memory_mb=1024, root_gb=1)
IMAGE = models.Image(id="image-1")
REQUEST = "req-1"


def report(host: str, **more: Any) -> models.HostReport:
    number = int(host.rsplit("-", 1)[-1])
    values: dict[str, Any] = {
        "host": host, "hypervisor_hostname": host, "node_uuid": f"00000000-0000-4000-8000-{number:012d}", "vcpus": 8,
        "memory_mb": 8192, "disk_gb": 100, "cpu_ratio": 1.0, "hypervisor_type": "QEMU", "hypervisor_version": 7002000,
    }  # fmt: skip
    return models.HostReport(**values | more)


class Agent(ComputeAPI):
    """Records messages. `answer` makes the outcome of a build; None: stay silent."""

    def __init__(self, lab: Lab, host: str) -> None:
        self.lab, self.host = lab, host
        self.builds: list[models.ServerBuild] = []
        self.terminated: list[str] = []
        self.acts: list[models.ServerRef] = []
        self.dropped: list[tuple[str, dict[str, str]]] = []
        self.answers: list[bool] = []
        self.answer: Callable[[models.ServerBuild], models.BuildOutcome | None] = self.succeed

    def succeed(self, build: models.ServerBuild) -> models.BuildOutcome:
        return models.BuildOutcome(
            server_uuid=build.server.uuid, request_id=build.request_id, attempt=build.attempt, host=self.host, ok=True,
            power_state=1,
        )  # fmt: skip

    def fail(self, build: models.ServerBuild, *, reschedule: bool = True) -> models.BuildOutcome:
        fault = models.Fault(step="networking", reason="no address left", details="secret inner words")
        return msgspec.structs.replace(self.succeed(build), ok=False, fault=fault, reschedule=reschedule)

    async def build_and_run_server(self, ctx: RequestContext, build: models.ServerBuild) -> None:
        self.builds.append(build)
        outcome = self.answer(build)
        if outcome is not None:
            self.answers.append(await self.lab.client.build_ended(ctx, outcome))

    async def run_action(self, ctx: RequestContext, ref: models.ServerRef) -> None:
        self.acts.append(ref)
        if ref.action == "delete":
            self.terminated.append(ref.build.server.uuid)

    async def guests_departed(self, ctx: RequestContext) -> None:
        return None

    async def external_events(self, ctx: RequestContext, events: list[models.ExternalEvent]) -> None:
        return None

    async def drop_interfaces(self, ctx: RequestContext, server_id: str, macs: dict[str, str]) -> None:
        self.dropped.append((server_id, macs))


class Lab:
    """`await lab.open()`; `lab.client` sends to the conductor over the bus."""

    def __init__(
        self, path: Path, scheduler: SchedulerOptions | None = None, conductor: ConductorOptions | None = None
    ) -> None:
        self.bus, self.clock, self.faults = MemoryBus(), Clock(), Faults()
        self.core, self.gateway, self.http = make_core(path, bus=self.bus)
        self.network_service: NetworkService | None = None
        self.placement_service = PlacementService(self.core)
        self.gateway.apps["/placement"] = self.placement_service.app
        self.placement = PlacementClient(self.core)
        self.database = Database(databases.url(path, "compute"), tables.metadata, name="compute")
        self.outbox = Outbox(self.database, tables.outbox, self.bus, retry=0.05)
        self.scheduler_options = scheduler or SchedulerOptions()
        self.scheduler = self.new_scheduler()
        self.conductor = ConductorManager(
            self.database, self.bus, self.placement, self.clock, self.faults,
            conductor or ConductorOptions(schedule_timeout=PATIENCE, accept_timeout=0.05, heartbeat_batch=0.01, startup_grace=0),
            NetworkClient(self.core),
        )  # fmt: skip
        self.client = self.bus.client(ConductorAPI)
        self.agents: dict[str, Agent] = {}

    def new_scheduler(self) -> SchedulerManager:
        return SchedulerManager(self.database, self.placement, self.scheduler_options, self.clock, self.faults)

    async def open(self) -> None:
        await self.placement_service.start()
        await upgrade(self.database, MIGRATIONS)
        await self.bus.serve(SchedulerAPI, self.scheduler, host="s1")
        await self.bus.serve(ConductorAPI, self.conductor, host="c1")

    async def with_network(self) -> NetworkClient:
        """The real network service behind the conductor's client."""
        self.network_service = NetworkService(self.core)
        self.gateway.apps["/network"] = self.network_service.app
        await self.network_service.start()
        return NetworkClient(self.core)

    async def close(self) -> None:
        await self.conductor.stop()
        if self.network_service is not None:
            await self.network_service.stop()
        await self.outbox.close()
        await self.bus.close()
        await self.placement_service.stop()
        await self.database.close()

    async def host(self, name: str, **more: Any) -> Agent:
        """A compute host that has reported and listens."""
        await self.conductor.report_host(CTX, report(name, **more))
        agent = self.agents[name] = Agent(self, name)
        await self.bus.serve(ComputeAPI, agent, host=name)
        return agent

    async def aggregate(self, name: str, hosts: list[str], **metadata: str) -> None:
        async with self.database.transaction() as tx:
            row = {"uuid": self.clock.uuid(), "name": name, "metadata": metadata, "created_at": self.now()}
            result = await tx.connection.execute(insert(tables.aggregates).values(**row))
            (key,) = result.inserted_primary_key or (0,)
            members = [{"aggregate_id": key, "host": host} for host in hosts]
            await tx.connection.execute(insert(tables.aggregate_hosts), members)

    async def group(self, policy: str, **rules: int) -> str:
        uuid = self.clock.uuid()
        row = {"uuid": uuid, "name": policy, "project_id": PROJECT, "user_id": "u", "policy": policy, "rules": rules,
               "created_at": self.now()}  # fmt: skip
        async with self.database.transaction() as tx:
            await tx.connection.execute(insert(tables.server_groups).values(**row))
        return uuid

    def spec(self, **more: Any) -> models.RequestSpec:
        values: dict[str, Any] = {"flavor": FLAVOR, "image": IMAGE, "admin_pass": "geheim"}
        return models.RequestSpec(**values | more)

    async def servers(
        self, count: int = 1, spec: models.RequestSpec | None = None, request_id: str = REQUEST, **values: Any
    ) -> list[str]:
        """Recorded servers that wait for a host, as the API leaves them."""
        spec = spec or self.spec()
        uuids = [self.clock.uuid() for _ in range(count)]
        row = {
            "name": "s", "hostname": "s", "project_id": PROJECT, "user_id": "u", "image_id": None,
            "flavor": msgspec.to_builtins(spec.flavor), "vcpus": 1, "memory_mb": 1024, "vm_state": "building",
            "task_state": "scheduling", "power_state": 0, "config_drive": False, "reservation_id": "r",
            "launch_index": 0, "progress": 0, "metadata": {}, "tags": [], "network_info": [], "security_groups": [],
            "created_at": self.now(), "updated_at": None, "deleted": 0, "server_group_id": None, "host": None,
        }  # fmt: skip
        if "group" in spec.scheduler_hints:
            row["server_group_id"] = spec.scheduler_hints["group"][0]
        action = {"request_id": request_id, "action": "create", "started_at": self.now()}
        document = msgspec.msgpack.encode(spec)
        async with self.database.transaction() as tx:
            await tx.connection.execute(insert(tables.servers), [row | values | {"uuid": u} for u in uuids])
            await tx.connection.execute(
                insert(tables.request_specs), [{"server_uuid": u, "spec": document} for u in uuids]
            )
            await tx.connection.execute(insert(tables.server_actions), [action | {"server_uuid": u} for u in uuids])
        return uuids

    async def build(self, uuids: list[str], request_id: str = REQUEST) -> None:
        """What the outbox of the API would bring, until everything that follows from it is done."""
        await self.conductor.build_servers(CTX, uuids, request_id)
        await self.quiet()

    async def quiet(self) -> None:
        """Until no message is on its way (those to hosts that don't listen excepted)."""

        async def at_rest() -> bool:
            await asyncio.sleep(0.005)
            if self.conductor.builds.in_flight or any(
                receiver.running for hosts in self.bus._receivers.values() for receiver in hosts.values()
            ):
                return False
            stuck = await self.undelivered()
            return len(self.outbox.sending) <= stuck

        await until(at_rest, "the lab does not come to rest", pause=0)

    async def undelivered(self) -> int:
        hosts = set(self.bus._receivers.get("compute", {}))
        rows = [msgspec.msgpack.decode(row.body, type=Envelope) for row in await self.rows(tables.outbox)]
        return sum(1 for e in rows if e.topic == "compute" and e.host not in hosts)

    async def rows(self, table: Any, *where: Any) -> list[Any]:
        async with self.database.reading() as connection:
            return list((await connection.execute(select(table).where(*where).order_by(table.c[_key(table)]))).all())

    async def server(self, uuid: str) -> Any:
        (row,) = await self.rows(tables.servers, tables.servers.c.uuid == uuid)
        return row

    async def request_spec(self, uuid: str) -> models.RequestSpec:
        (row,) = await self.rows(tables.request_specs, tables.request_specs.c.server_uuid == uuid)
        return msgspec.msgpack.decode(row.spec, type=models.RequestSpec)

    async def fault(self, uuid: str) -> Any:
        return (await self.rows(tables.server_faults, tables.server_faults.c.server_uuid == uuid))[-1]

    async def steps(self, uuid: str) -> list[tuple[str, str | None, str | None]]:
        records = await self.rows(tables.step_reports, tables.step_reports.c.server_uuid == uuid)
        async with self.database.reading() as connection:
            requests = dict.fromkeys(row.request_id for row in records)
            found = [await steps.of_request(connection, uuid, request) for request in requests]
        return [(step.step, step.host, step.result) for of_one in found for step in of_one]

    async def record(self, records: list[models.StepRecord]) -> None:
        async with self.database.transaction() as tx:
            await steps.add(tx.connection, records)

    async def change(self, uuid: str, **values: Any) -> None:
        async with self.database.transaction() as tx:
            await tx.connection.execute(update(tables.servers).where(tables.servers.c.uuid == uuid).values(**values))

    async def claimed(self) -> dict[str, list[str]]:
        """host → servers that hold a claim there."""
        found = {}
        for provider in await self.placement.providers():
            found[provider.name] = sorted(await self.placement.consumers_of(provider.uuid))
        return found

    def now(self) -> dt.datetime:
        return self.clock.now().replace(tzinfo=None)


def _key(table: Any) -> str:
    return "id" if "id" in table.c else "server_uuid"
