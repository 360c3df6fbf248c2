"""What a launch asks for, free of HTTP."""

from __future__ import annotations

from typing import Literal

import msgspec

from kilonova.compute import models


class BlockDevice(msgspec.Struct, kw_only=True):
    """One disk of a server, as its row in `block_devices`. `volume_size` in GiB, of swap in MiB; `uuid` is that of one server's,
    where it is a volume."""

    source_type: str  # image | volume | snapshot | blank
    destination_type: str  # local | volume
    uuid: str | None = None
    image_id: str | None = None
    volume_id: str | None = None
    snapshot_id: str | None = None
    boot_index: int | None = None
    device_name: str | None = None
    volume_size: int | None = None
    volume_type: str | None = None
    delete_on_termination: bool = False
    disk_bus: str | None = None
    device_type: str | None = None
    guest_format: str | None = None
    tag: str | None = None

    @property
    def is_root(self) -> bool:
        return self.boot_index == 0

    @property
    def is_volume(self) -> bool:
        return self.destination_type == "volume"

    @property
    def is_swap(self) -> bool:
        return self.source_type == "blank" and not self.is_volume and self.guest_format == "swap"

    @property
    def is_ephemeral(self) -> bool:
        return self.source_type == "blank" and not self.is_volume and self.guest_format != "swap"


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
    multiattach: bool = False  # the caller's microversion knows volumes with several attachments


class Resolved(msgspec.Struct, kw_only=True):
    """What validation found. `spec` is shared by all servers of the request."""

    spec: models.RequestSpec
    security_group_names: list[str]
    server_group_id: str | None = None


class Launched(msgspec.Struct, kw_only=True):
    """The servers recorded, first to last."""

    ids: list[str]
    reservation_id: str
