"""What a launch asks for, free of HTTP."""

from __future__ import annotations

from typing import Literal

import msgspec

from kilonova.compute import models


class BlockDevice(msgspec.Struct, kw_only=True):
    source_type: str
    destination_type: str
    image_id: str | None = None
    volume_id: str | None = None
    boot_index: int | None = None
    device_name: str | None = None
    volume_size: int | None = None
    delete_on_termination: bool = True
    disk_bus: str | None = None
    guest_format: str | None = None
    tag: str | None = None


class LaunchRequest(msgspec.Struct, kw_only=True):
    """`networks` None: the client named none and its microversion lets it; `security_groups` None: the default one."""

    name: str
    flavor_id: str
    image_id: str
    description: str | None = None
    metadata: dict[str, str] = {}
    networks: list[models.NetworkRequest] | Literal["auto", "none"] | None = None
    security_groups: list[str] | None = None
    availability_zone: str | None = None
    force_host: str | None = None
    force_node: str | None = None
    requested_host: str | None = None
    requested_node: str | None = None
    hints: dict[str, list[str]] = {}
    block_devices: list[BlockDevice] = []
    config_drive: bool = False
    key_name: str | None = None
    least: int = 1
    most: int = 1
    user_data: str | None = None
    personality: list[models.PersonalityFile] = []
    admin_pass: str = ""
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    disk_config: str = "MANUAL"
    tags: list[str] = []
    hostname: str | None = None
    trusted_image_certificates: list[str] | None = None
    port_may_be_external: bool = False  # the caller may use external networks
    zero_disk_allowed: bool = False


class Resolved(msgspec.Struct, kw_only=True):
    """What validation found. `spec` is shared by all servers of the request."""

    spec: models.RequestSpec
    security_group_names: list[str]
    server_group_id: str | None = None


class Launched(msgspec.Struct, kw_only=True):
    """The servers recorded, first to last."""

    ids: list[str]
    reservation_id: str
