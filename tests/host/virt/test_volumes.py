"""Volumes of the back end `local` as disks of guests with an operating system: the driver alone, without a cloud."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from kilonova.compute.virt.block import FileSource, NbdTlsSource
from kilonova.compute.virt.connections import source_of
from kilonova.compute.virt.driver import GuestDisk, GuestSpec, PowerState
from kilonova.compute.virt.libvirt.daemons import ensure_daemons
from kilonova.compute.virt.libvirt.domain_xml import secret_uuid
from kilonova.compute.virt.libvirt.driver import LibvirtDriver
from kilonova.core.block.storage_daemon import StorageDaemon
from kilonova.core.folders import runtime_folder, searchable
from kilonova.core.processes import command_line
from kilonova.core.secret import Secret
from kilonova.core.web.relay import ByteStream
from kilonova.guest.build import GuestImages
from kilonova.volume.backends.driver import Connector, VolumeDriver
from kilonova.volume.backends.options import LocalBackendOptions
from kilonova.volume.backends.registry import BackendContext, load
from tests.host.virt.test_libvirt import DISKS, folder, forget, options, raw_connection
from tests.unit.volume.backends.conformance import image_of, new_id

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("libvirtd") is None, reason="needs libvirtd"),
]

__all__ = ["folder"]
HERE, ELSEWHERE = Connector(host="here"), Connector(host="elsewhere")
KEY = Secret(b"passphrase-of-a-volume")
TEXT = "written-by-a-guest"


@pytest.fixture(scope="module", autouse=True)
def daemons() -> None:
    asyncio.run(ensure_daemons())


@pytest.fixture
def state_dir(folder: Path) -> Iterator[Path]:
    searchable(folder / "s")
    yield folder / "s"
    runtime = runtime_folder(folder / "s")
    for pid_file in sorted(runtime.rglob("pid"), reverse=True):
        asyncio.run(StorageDaemon(pid_file.parent).remove())
    shutil.rmtree(runtime, ignore_errors=True)


def backend_in(state_dir: Path) -> VolumeDriver:
    """Of the host `here`."""
    context = BackendContext(
        name="local",
        host=HERE.host,
        state_dir=state_dir,
        guest_user="libvirt-qemu",
        options=LocalBackendOptions(address="127.0.0.1"),
    )
    return load("local", context)


@pytest.fixture
async def backend(state_dir: Path) -> AsyncIterator[VolumeDriver]:
    made = backend_in(state_dir)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def driver(state_dir: Path) -> AsyncIterator[LibvirtDriver]:
    made = LibvirtDriver(options(state_dir=state_dir, guest_user="libvirt-qemu"), DISKS)
    await made.open()
    yield made
    await made.close()


class Shell:
    """root's shell in a guest, by its serial console."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream, self._said = stream, ""

    @classmethod
    async def open(cls, driver: LibvirtDriver, server: str) -> Shell:
        shell = cls(await driver.open_console(await driver.console(server, "serial")))
        for _ in range(150):  # a login prompt that came before we did is not repeated
            await shell._stream.write(b"\n")
            if await shell._saw("login: ", 1):
                break
        await shell._stream.write(b"root\n")
        assert await shell._saw("assword: ", 20), shell._said
        await shell._stream.write(b"kilonova\n")
        assert await shell._saw("# ", 20), shell._said
        return shell

    async def run(self, command: str, timeout: float = 60) -> str:
        """What it says; it must succeed."""
        self._said = ""
        await self._stream.write(f"{command}; echo end-$?-of\n".encode())
        assert await self._saw(r"end-\d+-of", timeout), self._said
        body = self._said.partition("\n")[2]
        assert "end-0-of" in body, body
        return body

    async def _saw(self, pattern: str, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                while not re.search(
                    pattern, self._said.partition("\n")[2] if pattern.startswith("end") else self._said
                ):
                    self._said += (await self._stream.read()).decode(errors="replace")
        except TimeoutError:
            return False
        return True


@pytest.fixture
def servers() -> Iterator[list[str]]:
    made: list[str] = []
    yield made
    with raw_connection() as conn:
        for server in made:
            forget(conn, server)


def kept_secrets() -> set[str]:
    with raw_connection() as conn:
        return {secret.UUIDString() for secret in conn.listAllSecrets()}


async def disk_of(
    backend: VolumeDriver, volume: str, host: Connector, target: str, key: Secret | None = None, boot: int | None = None
) -> GuestDisk:
    info = await backend.connect(volume, new_id(), host)
    source = source_of({"driver_volume_type": info.driver_volume_type, "data": info.data})
    assert source is not None
    return GuestDisk(source=source, target=target, serial=volume, passphrase=key, boot_index=boot)


async def boot(driver: LibvirtDriver, servers: list[str], folder: Path, *disks: GuestDisk) -> tuple[str, Shell]:
    server = str(uuid.uuid4())
    servers.append(server)
    spec = GuestSpec(
        uuid=server, name=f"kilonova-test-{server[:8]}", vcpus=1, memory_mb=128, disks=disks,
        console_log=folder / server / "console.log",
    )  # fmt: skip
    await driver.define(spec)
    await driver.start(server)
    return server, await Shell.open(driver, server)


async def test_volumes_of_guests(
    backend: VolumeDriver, driver: LibvirtDriver, servers: list[str], state_dir: Path, guest_images: GuestImages
) -> None:
    """A guest boots from a volume; others are attached while it runs: a plain and an encrypted one are written, grow, lose their
    daemon and their agent, are detached, and are read by a second guest of another host."""
    root, plain, sealed = new_id(), new_id(), new_id()
    image = guest_images.disk_qcow2.read_bytes()
    await backend.create_from_image(root, 1, image_of(image, disk_format="qcow2"))
    await backend.create(plain, 1)
    await backend.create(sealed, 1, key=KEY)
    first, shell = await boot(driver, servers, state_dir, await disk_of(backend, root, HERE, "vda", boot=0))
    for volume, target, key in ((plain, "vdb", None), (sealed, "vdc", KEY)):
        disk = await disk_of(backend, volume, HERE, target, key)
        for _ in range(2):
            assert await driver.attach_disk(first, disk) == target
    assert await driver.disks_of(first) == {root: "vda", plain: "vdb", sealed: "vdc"}
    for device in ("vdb", "vdc"):
        await shell.run(
            f"while ! [ -b /dev/{device} ]; do usleep 100000; done; echo {TEXT} | dd of=/dev/{device} conv=fsync"
        )
    held = state_dir / "volumes" / "local" / "volumes"
    for volume, visible in ((plain, True), (sealed, False)):
        with (held / volume / "volume").open("rb") as file:
            assert (TEXT.encode() in file.read(4 << 20)) is visible

    # they grow
    for volume, device in ((plain, "vdb"), (sealed, "vdc")):
        await backend.extend(volume, 2)
        await driver.resize_disk(first, volume, 2 << 30)
        assert str((2 << 30) // 512) in await shell.run(f"cat /sys/block/{device}/size")
    await shell.run(f"echo {TEXT} | dd of=/dev/vdc bs=512 seek=4194303 conv=fsync")

    # the agent goes away, a daemon is killed, another agent comes: what the guest writes meanwhile waits
    await backend.stop()
    writing = asyncio.ensure_future(shell.run("dd if=/dev/zero of=/dev/vdb bs=1M seek=512 count=24 oflag=direct", 120))
    pid = StorageDaemon(runtime_folder(state_dir) / "volumes" / "local" / plain).pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again = backend_in(state_dir)
    await again.start()
    try:
        await writing
        assert TEXT in await shell.run("dd if=/dev/vdb bs=512 count=1 iflag=direct 2>/dev/null | head -1")
        assert await driver.power_state(first) == PowerState.RUNNING

        assert secret_uuid(sealed) in kept_secrets()

        # taken from the first guest, given to one of another host
        for volume in (plain, sealed):
            for _ in range(2):
                assert await driver.detach_disk(first, volume, timeout=60)
        assert await driver.disks_of(first) == {root: "vda"}
        assert secret_uuid(sealed) not in kept_secrets()
        await shell.run("! [ -e /dev/vdb ] && ! [ -e /dev/vdc ]")
        for attached in await again.volumes():
            for attachment in attached.attachments if attached.id != root else ():
                await again.disconnect(attached.id, attachment)
        await driver.destroy(first)
        own = shutil.copy(guest_images.disk_qcow2, state_dir / "second.qcow2")
        shutil.chown(own, "libvirt-qemu")
        base = GuestDisk(source=FileSource(path=own, format="qcow2"), target="vda", boot_index=0)
        disk = await disk_of(again, plain, ELSEWHERE, "vdb")
        second, shell = await boot(
            driver, servers, state_dir, base, disk, await disk_of(again, sealed, ELSEWHERE, "vdc", KEY)
        )  # fmt: skip
        for device in ("vdb", "vdc"):
            assert TEXT in await shell.run(f"dd if=/dev/{device} bs=512 count=1 2>/dev/null | head -1")
        assert isinstance(disk.source, NbdTlsSource)
        with raw_connection() as conn:
            seen = conn.lookupByUUIDString(second).XMLDesc(1)
        words = [" ".join(command_line(int(entry.name))) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        for secret in (disk.source.psk.reveal.decode(), KEY.reveal.decode()):
            assert secret not in seen
            assert not any(secret in line for line in words)
        await driver.destroy(second)
        await driver.undefine(second)
        assert not list((runtime_folder(state_dir) / "disks").iterdir())
    finally:
        await again.stop()
