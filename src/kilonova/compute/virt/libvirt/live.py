"""Guests sent to another libvirtd while they run, peer to peer: libvirtd and the emulator here connect to unix sockets that
lead to those of the other host, so that no daemon listens to a network.

The guest is left paused at the new host (VIR_MIGRATE_PAUSED): libvirt's own end, which lets it run there before the old host has
ended it, may leave it running on both where the connection is lost between the two."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import libvirt
from lxml import etree

from kilonova.compute.models import Progress
from kilonova.compute.virt.capabilities import LiveMigrates, Sending
from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import GuestNotFound, PowerState, VirtError
from kilonova.compute.virt.libvirt import domains, secrets
from kilonova.compute.virt.libvirt.connection import Connection, translate
from kilonova.compute.virt.libvirt.daemons import SOCKET
from kilonova.compute.virt.libvirt.domain_xml import NAMESPACE
from kilonova.compute.virt.libvirt.events import start_event_thread
from kilonova.compute.virt.libvirt.options import LibvirtOptions
from kilonova.core import log

T = TypeVar("T")
LOG = log.get(__name__)
LOOK_EVERY = 0.2  # seconds between two looks at whether a job has ended
CONTROL, MEMORY, DISKS = "control", "memory", "disks"
FOLDER, MARK = "folder", "mark"
COHERENT = ("none", "directsync")
"""Cache modes with which two hosts see the same disk."""
LIVE = (
    libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE | libvirt.VIR_MIGRATE_PAUSED
)  # fmt: skip
COUNTS = ("memory_total", "memory_processed", "memory_remaining", "disk_total", "disk_processed", "disk_remaining")
NO_JOB = libvirt.VIR_DOMAIN_JOB_NONE


class LibvirtLive(LiveMigrates):
    """The part of `LibvirtDriver` that sends guests."""

    options: LibvirtOptions
    disks: DiskStore
    _connection: Connection

    @abstractmethod
    async def _domain(self, what: str, uuid: str, act: Callable[[Any], T], *, timeout: float | None = None) -> T: ...

    async def guest_needs(self, uuid: str) -> dict[str, str]:
        return await self._domain("read what it needs", uuid, _needs)

    async def check_needs(self, needs: dict[str, str]) -> None:
        if needs.get("driver") != "libvirt":
            raise VirtError(f"guests of the driver {needs.get('driver')} do not run here")
        await self._connection.run("compare what a guest needs with this host", partial(_compare, needs=needs))

    async def receive(self, uuid: str, migration: str) -> tuple[dict[str, Path], dict[str, str]]:
        folder, ceph = await asyncio.to_thread(self._fresh, migration), self.options.ceph
        await self._connection.run("keep the key of Ceph", lambda conn: secrets.prepare(conn, ceph))
        return {CONTROL: SOCKET, MEMORY: folder / MEMORY, DISKS: folder / DISKS}, self._differs(uuid)

    async def received(self, uuid: str, migration: str) -> None:
        await asyncio.to_thread(partial(shutil.rmtree, self._folder(migration), ignore_errors=True))

    async def ways(self, migration: str) -> dict[str, Path]:
        folder = await asyncio.to_thread(self._fresh, migration)
        return {name: folder / name for name in (CONTROL, MEMORY, DISKS)}

    async def send(self, uuid: str, sending: Sending) -> None:
        here = self._differs(uuid)
        read = partial(_definitions, here=here, there=sending.differs, copied=sending.copied)
        live, kept, targets = await self._domain("read its definition", uuid, read)
        ways = sending.ways
        parameters: dict[str, Any] = {
            libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{ways[MEMORY]}",
            libvirt.VIR_MIGRATE_PARAM_DEST_XML: live,
            libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: kept,
        }
        flags = LIVE
        if self.options.migration_bandwidth:
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = self.options.migration_bandwidth
        if sending.copied and targets:
            flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
            parameters[libvirt.VIR_MIGRATE_PARAM_DISKS_URI] = f"unix://{ways[DISKS]}"
            parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = targets
        elif self.options.disk_cache in COHERENT:  # that both see the same storage is known; libvirt knows few kinds
            flags |= libvirt.VIR_MIGRATE_UNSAFE
        to = f"qemu+unix:///system?socket={ways[CONTROL]}"
        thread = asyncio.ensure_future(asyncio.to_thread(_migrate, self.options.uri, uuid, to, parameters, flags))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            await self.give_up(uuid)
            await asyncio.wait([thread])
            raise
        except libvirt.libvirtError as error:
            raise translate(f"send guest {uuid}", error) from error

    @abstractmethod
    async def resume(self, uuid: str) -> None: ...

    async def land(self, uuid: str) -> None:
        """Where libvirt does not know that storage is shared, the old host took the disks back when the guest had left it."""
        own = f"{self.disks.console_log(uuid).parent}/"
        paths = await self._domain("find its disks", uuid, _files_of)
        await asyncio.to_thread(self._take, [path for path in paths if is_inside(path, own)])
        await self.resume(uuid)

    def _take(self, paths: Iterable[str]) -> None:
        owner = self.options.migration_dir.stat()
        for path in paths:
            with contextlib.suppress(OSError):  # the guest's next step says what is wrong
                if os.lstat(path).st_uid != owner.st_uid:
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    async def progress(self, uuid: str) -> Progress | None:
        try:
            return await self._domain(
                "look how far it is", uuid, partial(_progress, downtime=self.options.migration_downtime)
            )
        except VirtError:
            return None

    async def hurry(self, uuid: str) -> None:
        with contextlib.suppress(GuestNotFound):
            await self._domain("pause", uuid, _pause_if_there)

    async def give_up(self, uuid: str) -> None:
        with contextlib.suppress(GuestNotFound):
            while await self._domain("give up sending", uuid, _abort):  # noqa: ASYNC110 - libvirt has no event for it
                await asyncio.sleep(LOOK_EVERY)

    def _differs(self, uuid: str) -> dict[str, str]:
        return {FOLDER: str(self.disks.console_log(uuid).parent), MARK: self.options.mark}

    def _folder(self, migration: str) -> Path:
        """The same on all hosts: sockets of both ends have one name for libvirt."""
        return self.options.migration_dir / f"kilonova-{migration}"

    def _fresh(self, migration: str) -> Path:
        """For root and the emulator's user alone, who is the owner of the folder above; blocking."""
        folder = self._folder(migration)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700)
            above = folder.parent.stat()
            os.chown(folder, above.st_uid, above.st_gid)
        except OSError as error:
            raise VirtError(f"making {folder}: {error.strerror}") from error
        return folder


def _needs(domain: Any) -> dict[str, str]:
    if not domain.isActive():
        raise VirtError(f"read what it needs: guest {domain.UUIDString()}: it is off")
    definition = etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE).encode())
    cpu = definition.find("cpu")
    ((arch, machine),) = [(kind.get("arch", ""), kind.get("machine", "")) for kind in definition.iterfind("os/type")]
    return {
        "driver": "libvirt", "type": definition.get("type", ""), "arch": arch, "machine": machine,
        "cpu": etree.tostring(cpu, encoding="unicode") if cpu is not None else "",
    }  # fmt: skip


def _compare(conn: Any, needs: dict[str, str]) -> None:
    """libvirt's errors say what is missing. An emulated CPU is the same everywhere."""
    arch, machine, kind = needs["arch"], needs["machine"], needs["type"]
    conn.getDomainCapabilities(None, arch, machine, kind)
    if kind == "kvm" and needs["cpu"]:
        fails = libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE
        conn.compareHypervisorCPU(None, arch, machine, kind, needs["cpu"], fails)


def _migrate(uri: str, uuid: str, to: str, parameters: dict[str, Any], flags: int) -> None:
    """On a connection of its own: libvirtd does few calls of one client at once, and this one lasts."""
    start_event_thread()
    conn = libvirt.open(uri)
    try:
        conn.lookupByUUIDString(uuid).migrateToURI3(to, parameters, flags)
    finally:
        conn.close()


def _definitions(
    domain: Any, *, here: dict[str, str], there: dict[str, str], copied: bool
) -> tuple[str, str, list[str]]:
    """(of the running guest at the new host, of its next start there, targets of the disks that are copied)."""
    made, targets = [], list[str]()
    for flags in (libvirt.VIR_DOMAIN_XML_MIGRATABLE, libvirt.VIR_DOMAIN_XML_INACTIVE):
        text = domain.XMLDesc(flags | libvirt.VIR_DOMAIN_XML_SECURE)
        definition = etree.fromstring(text.encode())
        own = [disk for disk in definition.iterfind("devices/disk") if _is_below(disk, here[FOLDER])]
        _translate(definition.iter(), here[FOLDER], there.get(FOLDER, here[FOLDER]))
        for mark in definition.iterfind(f"metadata/{{{NAMESPACE}}}instance"):
            mark.set("cloud", there.get(MARK, here[MARK]))
        if copied:
            for disk in own:
                for backing in disk.findall("backingStore"):
                    disk.remove(backing)
            written = [disk for disk in own if disk.find("readonly") is None]
            targets = [target.get("dev", "") for disk in written for target in disk.iterfind("target")]
        made.append(etree.tostring(definition, encoding="unicode"))
    return made[0], made[1], targets


def _files_of(domain: Any) -> list[str]:
    definition = etree.fromstring(domain.XMLDesc().encode())
    return [file for source in definition.iterfind("devices/disk/source") if (file := source.get("file"))]


def is_inside(path: str, folder: str) -> bool:
    """The definition is what the old host sent: of other files it says nothing that counts."""
    return path.startswith(folder) and os.path.normpath(path) == path


def _is_below(disk: etree._Element, folder: str) -> bool:
    source = disk.find("source")
    return source is not None and (source.get("file") or "").startswith(folder + "/")


def _translate(elements: Iterable[etree._Element], here: str, there: str) -> None:
    """Paths below the folder of the server's files."""
    for element in elements:
        for name, value in list(element.attrib.items()):
            text = str(value)
            if text.startswith(here + "/"):
                element.set(name, there + text[len(here) :])
        if element.text and element.text.startswith(here + "/"):
            element.text = there + element.text[len(here) :]


def _progress(domain: Any, *, downtime: int) -> Progress | None:
    found = domain.jobStats(0)
    if found.get("type", NO_JOB) == NO_JOB:
        return None
    with contextlib.suppress(libvirt.libvirtError):  # it has not begun, or has ended
        domain.migrateSetMaxDowntime(downtime)
    return Progress(**{name: int(found.get(name, 0)) for name in COUNTS})


def _pause_if_there(domain: Any) -> None:
    if domains.state_of(domain) == PowerState.RUNNING:
        domain.suspend()


def _abort(domain: Any) -> bool:
    """Whether something is still under way."""
    if not domain.isActive() or domain.jobInfo()[0] == NO_JOB:
        return False
    with contextlib.suppress(libvirt.libvirtError):  # at its very end it can't be
        domain.abortJob()
    return True
