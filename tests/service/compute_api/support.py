"""Small fakes of the clients of the compute API, and a cloud made of it: real HTTP, real database, memory bus."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.app import ComputeApiService
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.console_urls import ConsoleUrls
from kilonova.compute.options import ComputeOptions
from kilonova.compute.store.hosts import COMPUTE, put_service
from kilonova.compute.volumes import SnapshotFacts, VolumeFacts
from kilonova.core import errors
from kilonova.core.clock import Clock
from kilonova.image.client import ImageRecord
from kilonova.network.client import (
    NetworkRecord,
    PortRecord,
    PortRequest,
    SecurityGroupRecord,
    SecurityGroupRuleRecord,
    SubnetRecord,
)
from kilonova.network.resources.ports.schemas import FixedIP
from tests.eventually import until
from tests.support import CALLERS, PROJECT, Client, make_core

IMAGE, NETWORK, GROUP = (str(uuid.UUID(int=n)) for n in (1, 2, 3))
NEWEST = "2.104"
TIMES = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}


def version(text: str) -> dict[str, str]:
    return {"OpenStack-API-Version": f"compute {text}"}


def image(image_id: str = IMAGE, **more: Any) -> ImageRecord:
    fields: dict[str, Any] = {
        "id": image_id, "name": "cirros", "status": "active", "visibility": "public", "owner": PROJECT, "protected": False,
        "os_hidden": False, "min_disk": 0, "min_ram": 0, "disk_format": "qcow2", "container_format": "bare",
        "size": 16 << 20, "virtual_size": None, "checksum": None, "os_hash_algo": "sha512", "os_hash_value": "ab", "tags": [],
    }  # fmt: skip
    return ImageRecord(**fields | TIMES | more)


class Images:
    """`held` maps ids to records; like the image service it hides what is not there. `refuses` is what it says to new ones."""

    def __init__(self) -> None:
        self.held = {IMAGE: image()}
        self.shared: list[tuple[str, str]] = []
        self.refuses: Exception | None = None

    async def create(self, ctx: Any, properties: dict[str, str], **attributes: Any) -> ImageRecord:
        if self.refuses is not None:
            raise self.refuses
        fields = {"status": "queued", "owner": ctx.project_id, "size": None, "properties": properties} | attributes
        made = image(str(uuid.uuid4()), **fields)
        self.held[made.id] = made
        return made

    async def upload(self, ctx: Any, image_id: str, data: bytes, *, size: int | None = None) -> None:
        self.held[image_id] = msgspec.structs.replace(self.held[image_id], status="active", size=len(data))

    async def share(self, ctx: Any, image_id: str, project_id: str) -> None:
        self.shared.append((image_id, project_id))

    async def delete(self, ctx: Any, image_id: str) -> None:
        self.held.pop(image_id, None)

    async def list(self, ctx: Any, most: int | None = None, /, **filters: str) -> list[ImageRecord]:
        """Filters by plain attributes and properties alone."""
        marker = filters.pop("marker", "")
        found = [one for one in sorted(self.held.values(), key=lambda one: one.id) if one.id > marker]
        return [
            one
            for one in found
            if all(getattr(one, name, one.properties.get(name)) == value for name, value in filters.items())
        ][:most]

    async def set_properties(
        self, ctx: Any, image_id: str, changes: Mapping[str, str], remove: Iterable[str] = ()
    ) -> ImageRecord:
        if self.refuses is not None:
            raise self.refuses
        found = self.held[image_id]
        kept = {name: value for name, value in found.properties.items() if name not in set(remove)}
        self.held[image_id] = msgspec.structs.replace(found, properties={**kept, **changes})
        return self.held[image_id]

    async def get(self, ctx: Any, image_id: str) -> ImageRecord:
        if image_id not in self.held:
            raise errors.NotFound(f"No image found with ID {image_id}")
        return self.held[image_id]


def network(network_id: str = NETWORK, **more: Any) -> NetworkRecord:
    fields: dict[str, Any] = {
        "id": network_id, "name": "private", "description": "", "project_id": PROJECT, "tenant_id": PROJECT,
        "revision_number": 1, "admin_state_up": True, "status": "ACTIVE", "shared": False, "external": False,
        "is_default": False, "mtu": 1450, "port_security_enabled": True, "subnets": ["subnet"],
        "qos_policy_id": None,
    }  # fmt: skip
    return NetworkRecord(**fields | TIMES | more)


def subnet(**more: Any) -> SubnetRecord:
    fields: dict[str, Any] = {
        "id": "subnet", "name": "", "description": "", "project_id": PROJECT, "tenant_id": PROJECT, "revision_number": 1,
        "network_id": NETWORK, "ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": None, "enable_dhcp": True,
        "allocation_pools": [], "dns_nameservers": [], "host_routes": [],
    }  # fmt: skip
    return msgspec.convert(fields | TIMES | more, SubnetRecord)


def port(port_id: str, address: str, **more: Any) -> PortRecord:
    fields: dict[str, Any] = {
        "id": port_id, "name": "", "description": "", "project_id": PROJECT, "tenant_id": PROJECT, "revision_number": 1,
        "network_id": NETWORK, "mac_address": "fa:16:3e:00:00:01", "admin_state_up": True, "status": "DOWN",
        "device_id": "", "device_owner": "", "fixed_ips": [FixedIP(subnet_id="subnet", ip_address=address)],
        "security_groups": [GROUP], "port_security_enabled": True, "allowed_address_pairs": [],
        "qos_policy_id": None, "qos_network_policy_id": None,
    }  # fmt: skip
    return PortRecord(**fields | TIMES | more)


def group(group_id: str, name: str, project: str = PROJECT) -> SecurityGroupRecord:
    return SecurityGroupRecord(
        id=group_id, name=name, description="", project_id=project, tenant_id=project, revision_number=1, **TIMES
    )


class Networks:
    def __init__(self) -> None:
        self.held_networks = [network()]
        self.automatic: str | None = None  # what an auto-allocated topology would be
        self.held_ports: list[PortRecord] = []
        self.groups = [group(GROUP, "default"), group(str(uuid.UUID(int=4)), "web")]
        self.updates: list[tuple[str, dict[str, Any]]] = []
        self.refusal: errors.KilonovaError | None = None  # what making a port fails with

    async def networks(self, ctx: Any = None, **filters: Any) -> list[NetworkRecord]:
        return [n for n in self.held_networks if "id" not in filters or n.id in filters["id"]]

    async def auto_allocated(self, project_id: str, ctx: Any = None) -> str:
        if self.automatic is None:
            raise errors.Conflict("Deployment error: No default router:external network.")
        return self.automatic

    async def ports(self, ctx: Any = None, **filters: Any) -> list[PortRecord]:
        wanted = filters.get("fixed_ips", "").removeprefix("ip_address=")
        return [
            p
            for p in self.held_ports
            if ("id" not in filters or p.id in filters["id"])
            and ("device_id" not in filters or p.device_id == filters["device_id"])
            and (not wanted or any(f.ip_address == wanted for f in p.fixed_ips))
        ]

    async def security_groups(self, ctx: Any = None, **filters: Any) -> list[SecurityGroupRecord]:
        ids = filters.get("id")
        mine = [g for g in self.groups if filters.get("project_id", g.project_id) == g.project_id]
        return [g for g in mine if ids is None or g.id in ids]

    async def security_group(self, group_id: str, ctx: Any = None) -> SecurityGroupRecord:
        for held in self.groups:
            if held.id == group_id:
                return held
        raise errors.NotFound(f"Security group {group_id} does not exist")

    async def create_security_group(self, values: dict[str, Any], ctx: Any = None) -> SecurityGroupRecord:
        made = group(str(uuid.uuid4()), values["name"])
        made.description = values["description"]
        self.groups.append(made)
        return made

    async def update_security_group(
        self, group_id: str, values: dict[str, Any], ctx: Any = None
    ) -> SecurityGroupRecord:
        held = await self.security_group(group_id)
        held.name, held.description = values["name"], values["description"]
        return held

    async def delete_security_group(self, group_id: str, ctx: Any = None) -> None:
        held = await self.security_group(group_id)
        if held.id == GROUP:
            raise errors.Conflict(f"Security Group {group_id} in use.")
        self.groups.remove(held)

    async def create_security_group_rule(self, values: dict[str, Any], ctx: Any = None) -> SecurityGroupRuleRecord:
        held = await self.security_group(values["security_group_id"])
        made = SecurityGroupRuleRecord(
            id=str(uuid.uuid4()), project_id=PROJECT, tenant_id=PROJECT, normalized_cidr=None, description="",
            revision_number=0, **values | TIMES)  # fmt: skip
        held.security_group_rules.append(made)
        return made

    async def delete_security_group_rule(self, rule_id: str, ctx: Any = None) -> None:
        for held in self.groups:
            held.security_group_rules = [rule for rule in held.security_group_rules if rule.id != rule_id]

    async def subnets(self, ctx: Any = None, **filters: Any) -> list[SubnetRecord]:
        return [subnet()]

    async def create_ports(self, requests: list[PortRequest], ctx: Any = None, *, own: bool = True) -> list[PortRecord]:
        if self.refusal is not None:
            raise self.refusal
        for asked in requests:
            named = asked.fixed_ips or [{"ip_address": f"10.0.0.{len(self.held_ports) + 50}"}]
            made = port(
                str(asked.id), named[0]["ip_address"], device_id=asked.device_id, device_owner=asked.device_owner,
                host_id=asked.host_id, network_id=asked.network_id, project_id=asked.project_id)  # fmt: skip
            self.held_ports.append(made)
        return self.held_ports[-len(requests) :]

    async def bind_port(
        self, port_id: str, host: str, *, device_id: str, device_owner: str = "", **more: Any
    ) -> PortRecord:
        (held,) = await self.ports(id=[port_id])
        held.host_id, held.device_id, held.device_owner = host, device_id, device_owner
        return held

    async def unbind_port(self, port_id: str) -> None:
        await self.bind_port(port_id, "", device_id="")

    async def delete_ports(self, port_ids: Iterable[str], ctx: Any = None) -> None:
        gone = set(port_ids)
        self.held_ports = [held for held in self.held_ports if held.id not in gone]

    async def update_port(
        self, port_id: str, changes: dict[str, Any], ctx: Any = None, *, own: bool = True
    ) -> PortRecord:
        self.updates.append((port_id, changes))
        return next(p for p in self.held_ports if p.id == port_id)


class Volumes:
    """`held` maps ids to volumes, `snapshots` likewise."""

    def __init__(self) -> None:
        self.held: dict[str, VolumeFacts] = {}
        self.snapshots: dict[str, SnapshotFacts] = {}
        self.types = [(str(uuid.UUID(int=90)), "fast")]

    def add(self, number: int = 50, **more: Any) -> str:
        made = VolumeFacts(**{"id": str(uuid.UUID(int=number)), "status": "available", "size": 1} | more)
        self.held[made.id] = made
        return made.id

    def add_snapshot(self, volume_id: str, size: int = 1) -> str:
        made = SnapshotFacts(id=str(uuid.UUID(int=70)), volume_id=volume_id, status="available", size=size)
        self.snapshots[made.id] = made
        return made.id

    async def volume(self, ctx: Any, volume_id: str) -> VolumeFacts:
        if volume_id not in self.held:
            raise errors.NotFound(f"Volume {volume_id} could not be found.")
        return self.held[volume_id]

    async def snapshot(self, ctx: Any, snapshot_id: str) -> SnapshotFacts:
        if snapshot_id not in self.snapshots:
            raise errors.NotFound(f"Snapshot {snapshot_id} could not be found.")
        return self.snapshots[snapshot_id]

    async def take_snapshot(self, ctx: Any, volume_id: str, name: str) -> SnapshotFacts:
        return self.snapshots[self.add_snapshot(volume_id, self.held[volume_id].size)]

    async def delete_snapshot(self, ctx: Any, snapshot_id: str) -> None:
        self.snapshots.pop(snapshot_id, None)

    async def volume_types(self, ctx: Any) -> list[tuple[str, str]]:
        return self.types


class Projects:
    """`away` stands for an identity service that can't be asked, or refuses."""

    def __init__(self) -> None:
        self.held = {caller.project_id for caller in CALLERS.values()}
        self.away: errors.KilonovaError | None = None

    async def project(self, project_id: str, *, ctx: Any = None) -> object:
        if self.away is not None:
            raise self.away
        if project_id not in self.held:
            raise errors.NotFound(f"Could not find project: {project_id}.")
        return project_id


class Recorder:
    """Stands where the conductor or an agent is, and keeps what arrives: (method, arguments)."""

    def __init__(self, answers: dict[str, Any] | None = None) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []
        self.contexts: list[Any] = []
        self.answers = answers or {}

    def __getattr__(self, name: str) -> Any:
        async def method(ctx: Any, *values: Any) -> Any:
            self.contexts.append(ctx)
            self.seen.append((name, values))
            return self.answers.get(name)

        return method

    async def wait(self, count: int = 1) -> list[tuple[str, tuple[Any, ...]]]:
        await until(lambda: len(self.seen) >= count)
        return self.seen


@dataclass
class Cloud:
    client: Client
    service: ComputeApiService
    images: Images = field(default_factory=Images)
    networks: Networks = field(default_factory=Networks)
    volumes: Volumes = field(default_factory=Volumes)
    projects: Projects = field(default_factory=Projects)
    conductor: Recorder = field(default_factory=Recorder)
    agent: Recorder = field(default_factory=lambda: Recorder({"console_output": b"login: \xff"}))

    async def __call__(
        self, method: str, path: str, at: str = NEWEST, token: str | None = "member", **more: Any
    ) -> Any:
        headers = version(at) | more.pop("headers", {})
        return await self.client(method, f"/compute/v2.1{path}", token=token, headers=headers, **more)

    async def boot(self, *, at: str = NEWEST, token: str = "member", top: Any = None, **fields: Any) -> Any:
        """The answer to POST /servers; fields given as None are left out."""
        body = {"name": "vm", "imageRef": IMAGE, "flavorRef": "42", "networks": "none"} | fields
        body = {key: value for key, value in body.items() if value is not None}
        return await self("POST", "/servers", at, token, json={"server": body} | (top or {}))

    async def row(self, server_id: str, **values: Any) -> None:
        """Set columns of a server behind the API's back, as conductor and agent would."""
        from sqlalchemy import update

        from kilonova.compute.tables import servers

        async with self.service.database.transaction() as tx:
            await tx.connection.execute(update(servers).where(servers.c.uuid == server_id).values(**values))

    async def active(self, **fields: Any) -> str:
        """The id of a server that runs on host-1."""
        made = await self.boot(**fields)
        assert made.status == 202, made.content
        server_id: str = made.json["server"]["id"]
        await self.row(server_id, vm_state="active", task_state=None, host="host-1", node="host-1", power_state=1)
        await self.seen("host-1")
        return server_id

    async def seen(self, host: str, seconds_ago: float = 0) -> None:
        """The host's compute service gave a sign of life then."""
        when = Clock().now().replace(tzinfo=None) - dt.timedelta(seconds=seconds_ago)
        async with self.service.database.transaction() as tx:
            await put_service(tx.connection, host=host, binary=COMPUTE, uuid=str(uuid.uuid4()), now=when)


async def make_cloud(tmp_path: Path, options: ComputeOptions | None = None) -> Cloud:
    core, gateway, client = make_core(tmp_path)
    images, networks, projects, volumes = Images(), Networks(), Projects(), Volumes()
    service = ComputeApiService(
        core, options, images=images, networks=networks, projects=projects,
        volumes=volumes,  # type: ignore[arg-type]
        consoles=ConsoleUrls("http://cloud:8774/console"),
    )  # fmt: skip
    gateway.apps[service.prefix] = service.app
    cloud = Cloud(client, service, images, networks, volumes, projects)
    await core.bus.serve(ConductorAPI, cloud.conductor, host="conductor-1")  # type: ignore[arg-type]
    await core.bus.serve(ComputeAPI, cloud.agent, host="host-1")  # type: ignore[arg-type]
    await service.start()
    return cloud
