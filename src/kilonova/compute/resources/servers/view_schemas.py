"""Wire shapes of servers as clients see them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Link
from kilonova.core.web.wire import View, versions

ATTR = "OS-EXT-SRV-ATTR:"
NAMES = {
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "host_id": "hostId",
    "disk_config": "OS-DCF:diskConfig",
    "availability_zone": "OS-EXT-AZ:availability_zone",
    "task_state": "OS-EXT-STS:task_state",
    "vm_state": "OS-EXT-STS:vm_state",
    "power_state": "OS-EXT-STS:power_state",
    "launched_at": "OS-SRV-USG:launched_at",
    "terminated_at": "OS-SRV-USG:terminated_at",
    "volumes_attached": "os-extended-volumes:volumes_attached",
} | {
    name: ATTR + name
    for name in (
        "host", "instance_name", "hypervisor_hostname", "hostname", "kernel_id", "launch_index", "ramdisk_id",
        "reservation_id", "root_device_name", "user_data",
    )
}  # fmt: skip


class Brief(View, kw_only=True):
    id: str
    name: str
    links: list[Link]


class Briefs(View, kw_only=True):
    servers: list[Brief]
    servers_links: list[Link] | UnsetType = UNSET


class FlavorLink(View, kw_only=True):
    id: str
    links: list[Link]


class FlavorInside(View, kw_only=True):
    vcpus: int
    ram: int
    disk: int
    ephemeral: int
    swap: int
    original_name: str
    extra_specs: dict[str, str] | UnsetType = UNSET


class ImageLink(View, kw_only=True):
    id: str
    links: list[Link]
    properties: Annotated[dict[str, str], versions("2.98")] = msgspec.field(default_factory=dict)


class VolumeAttached(View, kw_only=True):
    id: str
    delete_on_termination: Annotated[bool, versions("2.3")]


class GroupName(View, kw_only=True):
    name: str


class Address(View, kw_only=True, rename={"type": "OS-EXT-IPS:type", "mac_address": "OS-EXT-IPS-MAC:mac_addr"}):
    version: int
    addr: str
    type: str | UnsetType = UNSET
    mac_address: str | UnsetType = UNSET


class FaultView(View, kw_only=True):
    code: int
    created: str
    message: str
    details: str | UnsetType = UNSET


class ServerView(View, kw_only=True, rename=NAMES):
    """Fields left UNSET are not the caller's to see, or not part of this answer."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    metadata: dict[str, str]
    host_id: str
    image: ImageLink | str
    flavor_link: Annotated[FlavorLink, versions("2.1", "2.46", name="flavor")]
    flavor: Annotated[FlavorInside, versions("2.47")]
    created: str
    updated: str
    addresses: dict[str, list[Address]]
    access_ip_v4: str
    access_ip_v6: str
    links: list[Link]
    disk_config: str
    progress: int | UnsetType = UNSET
    fault: FaultView | UnsetType = UNSET
    availability_zone: str | UnsetType = UNSET
    config_drive: str | UnsetType = UNSET
    key_name: str | UnsetType | None = UNSET
    launched_at: str | UnsetType | None = UNSET
    terminated_at: str | UnsetType | None = UNSET
    security_groups: list[GroupName] | UnsetType = UNSET
    task_state: str | UnsetType | None = UNSET
    vm_state: str | UnsetType = UNSET
    power_state: int | UnsetType = UNSET
    volumes_attached: list[VolumeAttached] | UnsetType = UNSET
    host: str | UnsetType | None = UNSET
    instance_name: str | UnsetType = UNSET
    hypervisor_hostname: str | UnsetType | None = UNSET
    hostname: Annotated[str | UnsetType, versions("2.3")] = UNSET
    kernel_id: Annotated[str | UnsetType, versions("2.3")] = UNSET
    launch_index: Annotated[int | UnsetType, versions("2.3")] = UNSET
    ramdisk_id: Annotated[str | UnsetType, versions("2.3")] = UNSET
    reservation_id: Annotated[str | UnsetType, versions("2.3")] = UNSET
    root_device_name: Annotated[str | UnsetType | None, versions("2.3")] = UNSET
    user_data: Annotated[str | UnsetType | None, versions("2.3")] = UNSET
    locked: Annotated[bool, versions("2.9")] = False
    host_status: Annotated[str | UnsetType, versions("2.16")] = UNSET
    description: Annotated[str | None, versions("2.19")] = None
    tags: Annotated[list[str], versions("2.26")] = msgspec.field(default_factory=list)
    trusted_image_certificates: Annotated[list[str] | None, versions("2.63")] = None
    server_groups: Annotated[list[str] | UnsetType, versions("2.71")] = UNSET
    locked_reason: Annotated[str | None, versions("2.73")] = None
    pinned_availability_zone: Annotated[str | UnsetType | None, versions("2.96")] = UNSET
    scheduler_hints: Annotated[dict[str, Any] | UnsetType, versions("2.100")] = UNSET


class RebuiltView(ServerView, kw_only=True, rename=NAMES | {"admin_pass": "adminPass", "new_user_data": "user_data"}):
    """With the password, which is not shown again."""

    admin_pass: str | UnsetType = UNSET
    new_user_data: Annotated[str | None, versions("2.57")] = None


class RebuiltBody(View, kw_only=True):
    server: RebuiltView


class ServerBody(View, kw_only=True):
    server: ServerView


class ServerDetails(View, kw_only=True):
    servers: list[ServerView]
    servers_links: list[Link] | UnsetType = UNSET


class Created(View, kw_only=True, rename={"disk_config": "OS-DCF:diskConfig", "admin_pass": "adminPass"}):
    id: str
    links: list[Link]
    disk_config: str
    security_groups: list[GroupName]
    admin_pass: str | UnsetType = UNSET


class CreatedBody(View, kw_only=True):
    server: Created


class Reservation(View, kw_only=True):
    """The answer where `return_reservation_id` was asked for."""

    reservation_id: str
