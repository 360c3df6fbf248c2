"""Disks of a domain that runs or is off, each known by its serial: short functions on a `virDomain` that block, for the
connection's threads."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.virt.driver import VirtError
from kilonova.compute.virt.libvirt.definitions import LIVE, affected, parsed

RECONNECT, LOOK_AGAIN = 20.0, 0.05  # seconds in which a guest connects to its disk again, and between two looks at it
ALREADY = "already in the process of unplug"


def targets(domain: Any) -> dict[str, str]:
    """Serial → device name."""
    return {serial: _target(disk) for serial, disk in _disks(domain, affected(domain)[0]).items()}


def taken(domain: Any) -> tuple[set[str], str]:
    """(names of all its disks, its machine type)."""
    names: set[str] = set()
    machine = ""
    for side in affected(domain):
        definition = parsed(domain, side)
        names |= {_target(disk) for disk in definition.iterfind("devices/disk")}
        kind = definition.find("os/type")
        machine = kind.get("machine", "") if kind is not None else machine
    return names, machine


def held(domain: Any) -> dict[str, str]:
    """Like `targets`, of those that the running guest and the definition have both."""
    sides = [_disks(domain, side) for side in affected(domain)]
    return {serial: _target(disk) for serial, disk in sides[0].items() if all(serial in side for side in sides)}


def attach(domain: Any, serial: str, xml: str) -> None:
    """Where the running guest or the definition lacks it."""
    for side in affected(domain):
        if serial not in _disks(domain, side):
            domain.attachDeviceFlags(xml, side)


def ask_to_detach(domain: Any, serial: str) -> bool:
    """Whether it is gone. The definition loses it at once, a running guest when it obeys."""
    for side in reversed(affected(domain)):
        held = _disks(domain, side).get(serial)
        if held is not None:
            with _asked_already():
                domain.detachDeviceFlags(etree.tostring(held, encoding="unicode"), side)
    return serial not in targets(domain)


@contextlib.contextmanager
def _asked_already() -> Iterator[None]:
    """Let pass that the guest has not yet answered an earlier request."""
    try:
        yield
    except libvirt.libvirtError as error:
        if ALREADY not in error.get_error_message():
            raise


def sources(domain: Any) -> dict[str, str]:
    """Device name → unix socket of the disk's NBD server, of those that have one, now or when it is started."""
    found = {}
    for side in affected(domain):
        for disk in parsed(domain, side).iterfind("devices/disk"):
            host = disk.find("source[@protocol='nbd']/host")
            if host is not None and (socket := host.get("socket")):
                found[_target(disk)] = socket
    return found


def resize(domain: Any, serial: str, size: int, read: Callable[[Any, str], None]) -> None:
    """Make QEMU see that the disk's source has `size` bytes. `read` reads from a block node, on its own account."""
    if not domain.isActive():
        return
    disk = _disks(domain, LIVE).get(serial)
    if disk is None:
        raise VirtError(f"resize a disk: guest {domain.UUIDString()}: it has no disk {serial}")
    target = _target(disk)
    for left in reversed(range(int(RECONNECT / LOOK_AGAIN))):
        read(domain, _node(domain, disk))  # QEMU connects again when it needs data, not before
        try:
            domain.blockResize(target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
            return
        except libvirt.libvirtError:
            if not left:
                raise
        time.sleep(LOOK_AGAIN)


def read_a_sector(domain: Any, node: str) -> None:
    """What comes of it is of no interest."""
    import libvirt_qemu

    flags = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
    libvirt_qemu.qemuMonitorCommand(domain, f'qemu-io {node} "read 0 512"', flags)


def _node(domain: Any, disk: etree._Element) -> str:
    """QEMU's name for the disk's topmost block node."""
    import libvirt_qemu

    alias = disk.find("alias")
    name = alias.get("name", "?") if alias is not None else "?"
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, '{"execute":"query-block"}', 0))
    for block in answer["return"]:
        if f"/{name}/" in f"{block.get('qdev', '')}/":
            return str(block["inserted"]["node-name"])
    raise VirtError(f"resize a disk: guest {domain.UUIDString()}: QEMU has no device {name}")


def _disks(domain: Any, side: int) -> dict[str, etree._Element]:
    """Serial → element."""
    found = {}
    for disk in parsed(domain, side).iterfind("devices/disk"):
        if serial := disk.findtext("serial"):
            found[serial] = disk
    return found


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return target.get("dev", "") if target is not None else ""
