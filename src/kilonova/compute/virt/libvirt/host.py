"""What a host has, read from libvirt's capabilities."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
from lxml import etree

from kilonova.compute.virt.driver import HostCapacity
from kilonova.compute.virt.libvirt.options import LibvirtOptions

GIB = 1 << 30


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is, for as long as one connection to its libvirtd is open; see HostCapacity."""

    hypervisor_version: int
    cpu_info: dict[str, object]
    supported: tuple[tuple[str, str, str], ...]


def read_kind(conn: Any, virt_type: str) -> Kind:
    """Ask `conn` (a virConnect; blocks). libvirtd looks at all CPUs for it: milliseconds."""
    capabilities = etree.fromstring(conn.getCapabilities().encode())
    return Kind(
        hypervisor_version=conn.getVersion(),
        cpu_info=cpu_info(capabilities),
        supported=supported(capabilities, virt_type),
    )


def read_capacity(conn: Any, options: LibvirtOptions, virt_type: str, kind: Kind) -> HostCapacity:
    """Ask `conn` how much there is now; blocks. Disk is that of the file system under the state directory."""
    arch, memory_mb, cpus = conn.getInfo()[:3]
    return HostCapacity(
        vcpus=cpus,
        memory_mb=memory_mb,
        disk_gb=shutil.disk_usage(_existing(options.state_dir)).total // GIB,
        hypervisor_type="KVM" if virt_type == "kvm" else "QEMU",
        cpu_arch=arch,
        **msgspec.structs.asdict(kind),
    )


def cpu_info(capabilities: etree._Element) -> dict[str, object]:
    """`{arch, model, vendor, topology: {cells, sockets, cores, threads}, features: […]}` of the host's CPU."""
    cpu = capabilities.find("host/cpu")
    if cpu is None:
        return {}
    info: dict[str, object] = {tag: cpu.findtext(tag) for tag in ("arch", "model", "vendor")}
    topology = cpu.find("topology")
    cells = len(capabilities.findall("host/topology/cells/cell")) or 1
    numbers = {} if topology is None else {k: int(topology.get(k, "1")) for k in ("sockets", "cores", "threads")}
    info["topology"] = {"cells": cells, **numbers}
    info["features"] = sorted(name for feature in cpu.findall("feature") if (name := feature.get("name")))
    return info


def supported(capabilities: etree._Element, virt_type: str) -> tuple[tuple[str, str, str], ...]:
    """(arch, type, vm mode) of what can run here; kvm only when the probe saw it run, as libvirt's list can be wrong."""
    found = set()
    for guest in capabilities.findall("guest"):
        mode, arch = guest.findtext("os_type"), guest.find("arch")
        if mode is None or arch is None:
            continue
        for domain in arch.findall("domain"):
            kind = domain.get("type", "")
            if kind == "qemu" or kind == virt_type:
                found.add((arch.get("name", ""), kind, mode))
    return tuple(sorted(found))


def firmware(domain_capabilities: str) -> tuple[str, ...]:
    """BIOS comes with the emulator, UEFI is a package of its own."""
    found = etree.fromstring(domain_capabilities.encode()).findall("os/enum[@name='firmware']/value")
    return ("bios", "uefi") if any(value.text == "efi" for value in found) else ("bios",)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
