"""Wire shapes of server requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import (
    AdminPass,
    Boolean,
    Fqdn,
    HostName,
    Line,
    Metadata,
    Name,
    Positive,
    ShortDescription,
    Tag,
    Uuid,
    matching,
)
from kilonova.core.web.wire import Body, versions

NAMES = {
    "image_ref": "imageRef",
    "flavor_ref": "flavorRef",
    "admin_pass": "adminPass",
    "access_ip_v4": "accessIPv4",
    "access_ip_v6": "accessIPv6",
    "disk_config": "OS-DCF:diskConfig",
}
ImageRef = Annotated[
    str, matching(r"\A([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?\Z", "the UUID of an image, or no text")
]
FlavorRef = Annotated[str, Meta(min_length=1, max_length=1024)] | Annotated[int, Meta(ge=0)]
DiskConfig = Literal["AUTO", "MANUAL"]
Address = Annotated[str, Meta(max_length=45)]  # IPv6 with an IPv4 address at its end
UserData = Annotated[str, Meta(max_length=65535)]
Label = Annotated[
    str,
    matching(
        r"\A[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]\Z", "letters, digits and inner hyphens", min_length=2, max_length=63
    ),
]
Certificates = Annotated[list[Annotated[Line, Meta(min_length=1)]], Meta(min_length=1, max_length=50)]
MOST = 64  # interfaces, devices, security groups of a server
VolumeSize = (
    Annotated[str, matching(r"\A[0-9]{0,10}\Z", "a number, or no text")] | Annotated[int, Meta(ge=0, le=2147483647)]
)
DeviceName = Annotated[
    str, matching(r"\A[a-zA-Z0-9._/-]*\Z", "letters, digits and any of . _ / -", min_length=1, max_length=255)
]
BootIndex = Annotated[str, matching(r"\A-?[0-9]{1,4}\Z", "a number")] | Annotated[int, Meta(ge=-9999, le=9999)]


class NetworkIn(Body, kw_only=True):
    uuid: Annotated[str, Meta(max_length=255)] | None = None
    port: Uuid | None = None
    fixed_ip: Address | None = None
    tag: Annotated[Tag | None, versions("2.32")] = None


class SecurityGroupIn(Body, kw_only=True):
    name: Name


class PersonalityIn(Body, kw_only=True):
    path: Annotated[str, matching(r"\A[^\x00-\x1f\x7f]*\Z", "a path without control characters", min_length=1)]
    contents: str


class LegacyBlockDeviceIn(Body, kw_only=True):
    """The form of old clients, which have no other name for the disk that boots than its device's, vda."""

    virtual_name: Line | None = None
    volume_id: Uuid | None = None
    snapshot_id: Uuid | None = None
    volume_size: VolumeSize | None = None
    device_name: DeviceName | None = None
    delete_on_termination: Boolean = False
    no_device: Any = None
    connection_info: Annotated[str, Meta(max_length=16777215)] | None = None


class BlockDeviceIn(Body, kw_only=True):
    source_type: Literal["volume", "image", "snapshot", "blank"] | UnsetType = UNSET
    destination_type: Literal["local", "volume"] | UnsetType | None = UNSET
    uuid: Line | None = None
    image_id: Uuid | None = None
    volume_id: Uuid | None = None
    snapshot_id: Uuid | None = None
    boot_index: BootIndex | None = None
    volume_size: VolumeSize | None = None
    device_name: DeviceName | None = None
    delete_on_termination: Boolean = False
    guest_format: Line | None = None
    device_type: Line | None = None
    disk_bus: Line | None = None
    virtual_name: Line | None = None
    no_device: Any = None
    connection_info: Annotated[str, Meta(max_length=16777215)] | None = None
    tag: Annotated[Tag | None, versions("2.32")] = None
    volume_type: Annotated[Line | None, versions("2.67")] = None


NetworksIn = Annotated[list[NetworkIn], Meta(max_length=MOST)]
BlockDevicesIn = Annotated[list[BlockDeviceIn], Meta(max_length=MOST)]
LegacyBlockDevicesIn = Annotated[list[LegacyBlockDeviceIn], Meta(max_length=MOST)]


class ServerIn(Body, kw_only=True, rename=NAMES):
    name: Name
    flavor_ref: FlavorRef
    image_ref: ImageRef = ""
    admin_pass: AdminPass | UnsetType = UNSET
    metadata: Metadata = msgspec.field(default_factory=dict)
    networks_old: Annotated[NetworksIn | UnsetType, versions("2.1", "2.36", name="networks")] = UNSET
    networks: Annotated[NetworksIn | Literal["auto", "none"] | UnsetType, versions("2.37")] = UNSET
    disk_config: DiskConfig = "MANUAL"
    access_ip_v4: Address | None = None
    access_ip_v6: Address | None = None
    personality: Annotated[list[PersonalityIn], versions("2.1", "2.56")] = msgspec.field(default_factory=list)
    availability_zone: Name | UnsetType = UNSET
    block_device_mapping: LegacyBlockDevicesIn = msgspec.field(default_factory=list)
    block_device_mapping_v2: BlockDevicesIn = msgspec.field(default_factory=list)
    config_drive: Boolean | Literal[""] | None = None
    key_name: Name | UnsetType = UNSET
    min_count: Positive = 1
    max_count: Positive | UnsetType = UNSET
    return_reservation_id: Boolean = False
    security_groups: Annotated[list[SecurityGroupIn], Meta(max_length=MOST)] | UnsetType = UNSET
    user_data: UserData | None = None
    description: Annotated[ShortDescription | UnsetType | None, versions("2.19")] = UNSET
    tags: Annotated[Annotated[list[Tag], Meta(max_length=50)], versions("2.52")] = msgspec.field(default_factory=list)
    trusted_image_certificates: Annotated[Certificates | UnsetType | None, versions("2.63")] = UNSET
    host: Annotated[HostName | UnsetType, versions("2.74")] = UNSET
    hypervisor_hostname: Annotated[HostName | UnsetType, versions("2.74")] = UNSET
    hostname_label: Annotated[Label | UnsetType, versions("2.90", "2.93", name="hostname")] = UNSET
    hostname: Annotated[Fqdn | UnsetType, versions("2.94")] = UNSET


class ServerCreate(
    Body, kw_only=True, rename={"hints": "os:scheduler_hints", "old_hints": "OS-SCH-HNT:scheduler_hints"}
):
    server: ServerIn
    hints: dict[Line, Any] | UnsetType = UNSET
    old_hints: dict[Line, Any] | UnsetType = UNSET


class ServerChange(Body, kw_only=True, rename=NAMES):
    name: Name | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = UNSET
    access_ip_v4: Address | UnsetType | None = UNSET
    access_ip_v6: Address | UnsetType | None = UNSET
    description: Annotated[ShortDescription | UnsetType | None, versions("2.19")] = UNSET
    hostname_label: Annotated[Label | UnsetType, versions("2.90", "2.93", name="hostname")] = UNSET
    hostname: Annotated[Fqdn | UnsetType, versions("2.94")] = UNSET
    pinned_availability_zone: Annotated[Name | UnsetType | None, versions("2.104")] = UNSET


class ServerUpdate(Body, kw_only=True):
    server: ServerChange
