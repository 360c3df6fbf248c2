"""What libvirt counts of a running domain. Blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.diagnostics import DiskCounts, GuestDiagnostics, NicCounts

NIC = (
    "rx_octets", "rx_packets", "rx_errors", "rx_drop", "tx_octets", "tx_packets", "tx_errors", "tx_drop",
)  # fmt: skip
"""In libvirt's order."""


def diagnostics_of(domain: Any, virt_type: str) -> GuestDiagnostics:
    """Raises libvirtError for a domain that is off; a count that the emulator does not give is left out."""
    times = [vcpu[2] for vcpu in domain.vcpus()[0]]
    _, maximum, used, _, _ = domain.info()
    devices = etree.fromstring(domain.XMLDesc().encode()).find("devices")
    memory = {}
    with contextlib.suppress(libvirt.libvirtError):
        memory = {name: int(value) for name, value in domain.memoryStats().items()}
    return GuestDiagnostics(
        driver="libvirt", hypervisor=virt_type, cpu_times=times, memory_maximum=maximum, memory_used=used, memory=memory,
        disks=list(_disks(domain, devices)), nics=list(_nics(domain, devices)),
    )  # fmt: skip


def _disks(domain: Any, devices: Any) -> Iterator[DiskCounts]:
    for target in devices.iterfind("disk/target"):
        device = target.get("dev")
        with contextlib.suppress(libvirt.libvirtError):
            reads, read, writes, written, errors = domain.blockStats(device)
            yield DiskCounts(
                device=device, read_requests=reads, read_bytes=read, write_requests=writes, write_bytes=written,
                errors=max(errors, 0),
            )  # fmt: skip


def _nics(domain: Any, devices: Any) -> Iterator[NicCounts]:
    for interface in devices.iterfind("interface"):
        mac, target = interface.find("mac").get("address"), interface.find("target")
        device, counts = target.get("dev", "") if target is not None else "", {}
        if device:
            with contextlib.suppress(libvirt.libvirtError):
                counts = dict(zip(NIC, domain.interfaceStats(device), strict=True))
        yield NicCounts(device=device, mac_address=mac, **counts)
