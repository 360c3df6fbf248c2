"""What `verify` compares: everything that exists, from the services' APIs and from every host."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext
from kilonova.core.errors import KilonovaError
from kilonova.core.service import Core
from kilonova.network.agent.dataplane import Fault, Leftover
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkAgentAPI, NetworkPluginAPI
from kilonova.network.client import NetworkClient, PortRecord
from kilonova.ops import volumes
from kilonova.ops.volumes import Storage
from kilonova.placement.client import PlacementClient

HOST_ANSWERS = 10.0  # seconds
ENDED = ("done", "completed", "confirmed", "reverted", "failed", "error", "cancelled")  # of moves


class ServerFact(msgspec.Struct):
    id: str
    name: str
    status: str
    host: str | None
    task_state: str | None
    volumes: list[str] = []


class HostFact(msgspec.Struct):
    """What a host reported; `away` when its agent did not answer. Hosts whose `storage` is the same share their disks. `running`
    are those of the guests that run; None: the host is of a release that does not say so."""

    name: str
    guests: set[str] = msgspec.field(default_factory=set)
    running: set[str] | None = None
    disks: set[str] = msgspec.field(default_factory=set)
    journal: set[str] = msgspec.field(default_factory=set)
    leftovers: list[Leftover] = msgspec.field(default_factory=list)
    faults: list[Fault] = msgspec.field(default_factory=list)
    storage: list[str] = msgspec.field(default_factory=list)
    away: str = ""


class Facts(msgspec.Struct):
    servers: dict[str, ServerFact]
    allocations: dict[str, str]  # consumer → provider's name
    ports: dict[str, PortRecord]
    networks: set[str]
    security_groups: set[str]
    address_groups: set[str]
    hosts: list[HostFact]
    undelivered: list[Undelivered]  # what outboxes keep
    queued: dict[str, int]  # queue → messages that no receiver has taken
    put_aside: int  # dead letters
    storage: Storage | None = None  # None: no volume service answers


async def gather(core: Core, ctx: RequestContext) -> Facts:
    """All at once; what changes meanwhile may show."""
    compute = core.client("compute", "/v2.1", headers={"OpenStack-API-Version": "compute 2.90"})
    network, placement = NetworkClient(core), PlacementClient(core)
    servers, allocations, ports, networks, (groups, lists), services = await asyncio.gather(
        _servers(compute),
        _allocations(placement, compute),
        network.ports(),
        network.networks(),
        asyncio.gather(network.security_groups(), network.address_groups()),
        _hosts(compute),
    )
    storage = await volumes.gather(core, ctx)
    hosts = await asyncio.gather(*(_host(core, ctx, name, up) for name, up in services.items()))
    return Facts(
        servers=servers,
        allocations=allocations,
        ports={port.id: port for port in ports},
        networks={item.id for item in networks},
        security_groups={item.id for item in groups},
        address_groups={item.id for item in lists},
        hosts=list(hosts),
        undelivered=[*await _undelivered(core, ctx), *(storage.undelivered if storage is not None else ())],
        queued=await _queued(core, [name for name, up in services.items() if up]),
        put_aside=await core.bus.put_aside(),
        storage=storage,
    )


async def _undelivered(core: Core, ctx: RequestContext) -> list[Undelivered]:
    compute, network = await asyncio.gather(
        core.bus.client(ConductorAPI).undelivered(ctx), core.bus.client(NetworkPluginAPI).undelivered(ctx)
    )
    return [*compute, *network]


async def _queued(core: Core, hosts: list[str]) -> dict[str, int]:
    """Asked last: what answers the questions above goes through these queues too. Of the hosts that are up: what waits for
    the others waits for a reason."""
    shared = (ConductorAPI, SchedulerAPI, NetworkPluginAPI, ComputeNotifierAPI)
    queues: list[tuple[str, str | None]] = [(interface.topic, None) for interface in shared]
    queues += [(interface.topic, host) for interface in (ComputeAPI, NetworkAgentAPI) for host in hosts]
    depths = await asyncio.gather(*(core.bus.waiting(topic, host) for topic, host in queues))
    names = [topic if host is None else f"{topic}.{host}" for topic, host in queues]
    return {name: depth for name, depth in zip(names, depths, strict=True) if depth}


async def _servers(compute: Any) -> dict[str, ServerFact]:
    found: dict[str, ServerFact] = {}
    marker = ""
    while True:
        page = await compute.get(
            f"/servers/detail?all_tenants=1&soft_deleted=1&limit=1000{marker}", dict[str, Any], own=True
        )
        for item in page["servers"]:
            found[item["id"]] = ServerFact(
                item["id"],
                item["name"],
                item["status"],
                item.get("OS-EXT-SRV-ATTR:host"),
                item.get("OS-EXT-STS:task_state"),
                [volume["id"] for volume in item.get("os-extended-volumes:volumes_attached", ())],
            )
        if "servers_links" not in page:
            return found
        marker = "&marker=" + page["servers"][-1]["id"]


async def _allocations(placement: PlacementClient, compute: Any) -> dict[str, str]:
    """Of servers, and of what is no server's: not what moves hold rightfully."""
    providers, moves = await asyncio.gather(placement.providers(), _moves(compute))
    held = await asyncio.gather(*(placement.consumers_of(provider.uuid) for provider in providers))
    found = {consumer: p.name for p, consumers in zip(providers, held, strict=True) for consumer in consumers}
    return {consumer: name for consumer, name in found.items() if consumer not in moves}


async def _moves(compute: Any) -> set[str]:
    """Those that may hold what their server held before."""
    found = await compute.get("/os-migrations", dict[str, Any], own=True)
    return {move["uuid"] for move in found["migrations"] if move["status"] not in ENDED}


async def _hosts(compute: Any) -> dict[str, bool]:
    """Name → whether it is up."""
    services = await compute.get("/os-services?binary=nova-compute", dict[str, Any], own=True)
    return {service["host"]: service["state"] == "up" for service in services["services"]}


async def _host(core: Core, ctx: RequestContext, name: str, up: bool) -> HostFact:
    if not up:  # its queue may well take the question
        return HostFact(name, away="its compute service is down")
    try:
        async with asyncio.timeout(HOST_ANSWERS):  # a broker would keep the call for a host that is down
            inventory = await core.bus.client(ComputeAPI, host=name).inventory(ctx)
            agent = core.bus.client(NetworkAgentAPI, host=name)
            leftovers, faults = await agent.leftovers(ctx), await agent.faults(ctx)
    except KilonovaError as error:
        return HostFact(name, away=error.message)
    except TimeoutError:
        return HostFact(name, away=f"no answer within {HOST_ANSWERS:g} s")
    return HostFact(
        name,
        guests=set(inventory["guests"]),
        running=set(inventory["running"]) if "running" in inventory else None,
        disks=set(inventory["disks"]),
        journal=set(inventory["journal"]),
        storage=inventory.get("storage", []),
        leftovers=leftovers,
        faults=faults,
    )
