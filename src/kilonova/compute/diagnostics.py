"""What a hypervisor counts of a running guest, as hosts report it. What it does not count is None or not there."""

from __future__ import annotations

import msgspec


class DiskCounts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of a block device, by its name in the guest's definition (vda)."""

    device: str
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0
    errors: int = 0


class NicCounts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of an interface, by its device on the host ("": it has none); received and sent are the guest's."""

    device: str
    mac_address: str
    rx_octets: int | None = None
    rx_packets: int | None = None
    rx_errors: int | None = None
    rx_drop: int | None = None
    tx_octets: int | None = None
    tx_packets: int | None = None
    tx_errors: int | None = None
    tx_drop: int | None = None


class GuestDiagnostics(msgspec.Struct, kw_only=True, omit_defaults=True):
    """CPU times in ns, one for each virtual CPU; memory in KiB, `memory` with what the hypervisor's own statistics have."""

    driver: str
    hypervisor: str
    cpu_times: list[int] = []
    memory_maximum: int
    memory_used: int
    memory: dict[str, int] = {}
    disks: list[DiskCounts] = []
    nics: list[NicCounts] = []
