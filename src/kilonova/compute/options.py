"""Settings of the compute API."""

from __future__ import annotations

import msgspec


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """Default limits of a project; -1 is no limit."""

    instances: int = 10
    cores: int = 20
    ram: int = 51200  # MiB
    metadata_items: int = 128
    injected_files: int = 5
    injected_file_content_bytes: int = 10240
    injected_file_path_bytes: int = 255
    key_pairs: int = 100
    server_groups: int = 10
    server_group_members: int = 10


class ComputeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`service_down_time` in seconds: a host silent for longer is down. `default_flavors` seeds an empty database."""

    quotas: Quotas = msgspec.field(default_factory=Quotas)
    default_zone: str = "nova"
    internal_zone: str = "internal"
    service_down_time: float = 60.0
    password_length: int = 12
    page_size: int = 1000
    console_bytes: int = 102400
    max_servers_per_request: int = 1000
    default_flavors: bool = True
