"""The driver against a real libvirtd: the guests are single boot sectors, so a test takes seconds."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

libvirt = pytest.importorskip("libvirt")

from kilonova.compute.virt.block import FileSource  # noqa: E402
from kilonova.compute.virt.driver import (  # noqa: E402
    GuestDisk,
    GuestInterface,
    GuestSpec,
    HypervisorUnavailable,
    PowerState,
    VirtError,
)
from kilonova.compute.virt.fake import FakeDiskStore, FakeHypervisor, FakeOptions  # noqa: E402
from kilonova.compute.virt.libvirt import disk_copy, domains  # noqa: E402
from kilonova.compute.virt.libvirt.connection import Connection  # noqa: E402
from kilonova.compute.virt.libvirt.daemons import ensure_daemons  # noqa: E402
from kilonova.compute.virt.libvirt.driver import LibvirtDriver  # noqa: E402
from kilonova.compute.virt.libvirt.options import LibvirtOptions  # noqa: E402
from kilonova.compute.virt.load import DriverContext, load  # noqa: E402
from kilonova.compute.virt.vif import BridgeVif  # noqa: E402
from tests.eventually import PATIENCE, until  # noqa: E402
from tests.host.virt.boot_sectors import GREETING, boot_disk  # noqa: E402
from tests.unit.virt.conformance import (  # noqa: E402
    Conformance,
    CopiesDisksConformance,
    DiagnosesConformance,
    LiveMigratesConformance,
    LogsConsoleConformance,
    MakeCopy,
    MakeGuest,
    OffersConsolesConformance,
    PlugsDisksConformance,
    PlugsInterfacesConformance,
    SetsPasswordsConformance,
    SuspendsConformance,
    TriggersCrashDumpsConformance,
    Watcher,
    boot,
)

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(shutil.which("libvirtd") is None, reason="needs libvirtd"),
]

CLOUD = f"test-{uuid.uuid4()}"
DISKS = FakeDiskStore("here", FakeHypervisor(), FakeOptions())


def options(**more: object) -> LibvirtOptions:
    return LibvirtOptions(**{"virt_type": "qemu", "cloud": CLOUD, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def daemons() -> None:
    asyncio.run(ensure_daemons())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Unlike tmp_path, one that QEMU's own user may search."""
    with tempfile.TemporaryDirectory(prefix="kilonova-test-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def make_guest(folder: Path) -> Iterator[MakeGuest]:
    made = []

    def make(*, obeys_acpi: bool = True, title: str = "") -> GuestSpec:
        server = str(uuid.uuid4())
        made.append(server)
        disk = boot_disk(folder / f"{server}.img", obeys_acpi=obeys_acpi)
        return GuestSpec(
            uuid=server,
            name=f"kilonova-test-{server[:8]}",
            title=title,
            vcpus=1,
            memory_mb=32,
            disks=(GuestDisk(source=FileSource(path=disk, format="raw"), target="vda", boot_index=0),),
            console_log=folder / server / "console.log",
        )

    yield make
    with raw_connection() as conn:
        for server in made:
            forget(conn, server)


class raw_connection:
    """A connection beside the driver's, to see and do what the driver should not."""

    def __enter__(self) -> Any:
        self.conn = libvirt.open("qemu:///system")
        return self.conn

    def __exit__(self, *_: object) -> None:
        self.conn.close()


def forget(conn: Any, server: str) -> None:
    try:
        domain = conn.lookupByUUIDString(server)
    except libvirt.libvirtError:
        return
    if domain.isActive():
        domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


@pytest.fixture
async def driver() -> AsyncIterator[LibvirtDriver]:
    driver = LibvirtDriver(options(), DISKS)
    await driver.open()
    yield driver
    await driver.close()


class LibvirtConformance(
    Conformance, LogsConsoleConformance, OffersConsolesConformance, SuspendsConformance, TriggersCrashDumpsConformance,
    PlugsInterfacesConformance, PlugsDisksConformance, SetsPasswordsConformance, DiagnosesConformance,
    CopiesDisksConformance, LiveMigratesConformance,
):  # fmt: skip
    @pytest.fixture
    def copy(self, folder: Path) -> MakeCopy:
        return copies_in(folder)


class TestLibvirt(LibvirtConformance):
    pass


def copies_in(folder: Path) -> MakeCopy:
    numbers = itertools.count()

    def copy(guest: GuestSpec) -> tuple[FileSource, FileSource]:
        source = guest.disks[0].source
        target = folder / f"copy-{next(numbers)}.qcow2"
        size = str(source.path.stat().st_size)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", target, size], check=True, timeout=60)
        shutil.chown(target, "libvirt-qemu")
        return source, FileSource(path=target, format="qcow2")

    return copy


def block_jobs(server: str, disk: Path) -> dict[str, Any]:
    with raw_connection() as conn:
        return dict(conn.lookupByUUIDString(server).blockJobInfo(str(disk), 0))


async def test_a_copied_disk_is_the_disk(driver: LibvirtDriver, make_guest: MakeGuest, folder: Path) -> None:
    guest = make_guest()
    disk, target = copies_in(folder)(guest)
    with disk.path.open("r+b") as file:
        file.seek(100 << 10)
        file.write(b"written before" * 100)
    await boot(driver, guest)
    await driver.copy_disk(guest.uuid, disk, target, quiesce=False)
    assert block_jobs(guest.uuid, disk.path) == {}
    raw = folder / "copy.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", target.path, raw], check=True, timeout=60)
    assert raw.read_bytes() == disk.path.read_bytes()
    assert b"written before" in raw.read_bytes()


async def test_a_copy_that_is_cut_off_leaves_no_job(
    driver: LibvirtDriver, make_guest: MakeGuest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that a killed process left is ended before the next begins."""
    guest = make_guest()
    copies = copies_in(folder)
    disk, target = copies(guest)
    await boot(driver, guest)
    monkeypatch.setattr(disk_copy, "_is_ready", lambda domain, path: False)
    copying = asyncio.ensure_future(driver.copy_disk(guest.uuid, disk, target, quiesce=False))
    await until(lambda: block_jobs(guest.uuid, disk.path) != {})
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert block_jobs(guest.uuid, disk.path) == {}
    monkeypatch.undo()
    with raw_connection() as conn:
        domain = conn.lookupByUUIDString(guest.uuid)
        disk_copy._begin(domain, path=str(disk.path), target=copies(guest)[1])
    await driver.copy_disk(guest.uuid, disk, copies(guest)[1], quiesce=False)
    assert block_jobs(guest.uuid, disk.path) == {}


class TestLibvirtWhoseEventsComeLate(LibvirtConformance):
    @pytest.fixture(autouse=True)
    def late(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hear = Connection._on_lifecycle

        def hear_late(*what: Any) -> None:
            time.sleep(0.3)
            hear(*what)

        monkeypatch.setattr(Connection, "_on_lifecycle", hear_late)


async def test_the_guest_really_runs(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    guest = make_guest()
    await boot(driver, guest)

    async def greets() -> bool:
        return GREETING in await driver.console_log(guest.uuid, max_bytes=1000)

    await until(greets)
    endpoint = await driver.console(guest.uuid, "vnc")
    reader, writer = await asyncio.open_unix_connection(endpoint.path)
    assert (await reader.readexactly(4)) == b"RFB "
    writer.close()


async def test_a_guest_that_missed_the_power_button_is_asked_again(
    driver: LibvirtDriver, make_guest: MakeGuest, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, asked = make_guest(), []
    await boot(driver, guest)
    press = domains.ask_to_power_off

    def missed_once(domain: Any) -> PowerState:
        asked.append(domain)
        return domains.state_of(domain) if len(asked) == 1 else press(domain)

    monkeypatch.setattr(domains, "ask_to_power_off", missed_once)
    monkeypatch.setattr("kilonova.compute.virt.libvirt.driver.ASK_AGAIN", 0.5)
    assert await driver.shutdown(guest.uuid, timeout=60)
    assert len(asked) > 1


async def test_no_other_user_of_the_host_reaches_a_console(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    guest = make_guest()
    await boot(driver, guest)
    socket = (await driver.console(guest.uuid, "vnc")).path
    assert socket.is_socket()
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    tried = await asyncio.to_thread(subprocess.run, [*nobody, "stat", str(socket)], capture_output=True, text=True)
    assert "Permission denied" in tried.stderr  # a user that may not enter the folder can connect to nothing in it
    with raw_connection() as conn:
        xml = conn.lookupByUUIDString(guest.uuid).XMLDesc()
    assert re.findall(r"<graphics [^>]*(?:port|listen)=", xml) == []


async def test_a_console_that_an_earlier_release_left_open_is_named(
    driver: LibvirtDriver, make_guest: MakeGuest
) -> None:
    guest = make_guest()
    await driver.define(guest)
    with raw_connection() as conn:
        xml = conn.lookupByUUIDString(guest.uuid).XMLDesc()
        conn.defineXML(
            re.sub(r"<graphics.*?</graphics>", "<graphics type='vnc' autoport='yes'/>", xml, flags=re.DOTALL)
        )
    await driver.start(guest.uuid)
    with pytest.raises(VirtError, match="until its next hard reboot"):
        await driver.console(guest.uuid, "vnc")
    later = LibvirtDriver(options(), DISKS)
    with capture_logs() as logs:
        await later.open()
        await later.close()
    assert [entry["uuid"] for entry in logs if "console" in entry["event"]] == [guest.uuid]
    await driver.destroy(guest.uuid)  # what a hard reboot does
    await driver.define(guest)
    await driver.start(guest.uuid)
    assert (await driver.console(guest.uuid, "vnc")).path.is_socket()


async def test_other_peoples_domains_are_left_alone(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    stranger = make_guest()
    xml = (
        f"<domain type='qemu'><name>{stranger.name}</name><uuid>{stranger.uuid}</uuid>"
        "<memory unit='MiB'>16</memory><os><type>hvm</type></os></domain>"
    )
    with raw_connection() as conn:
        domain = conn.defineXML(xml)
        assert stranger.uuid not in {info.uuid for info in await driver.guests()}
        assert await driver.power_state(stranger.uuid) == PowerState.NOSTATE
        with pytest.raises(VirtError, match="not ours"):
            await driver.define(stranger)
        with pytest.raises(VirtError, match="not ours"):
            await driver.start(stranger.uuid)
        await driver.destroy(stranger.uuid)
        await driver.undefine(stranger.uuid)
        assert not domain.isActive()
        assert domain.isPersistent()


async def test_guests_of_another_cloud_on_the_same_host_are_not_ours(
    driver: LibvirtDriver, make_guest: MakeGuest
) -> None:
    guest = make_guest()
    await driver.define(guest)
    other = LibvirtDriver(options(cloud="another"), DISKS)
    await other.open()
    try:
        assert guest.uuid not in {info.uuid for info in await other.guests()}
        assert await other.power_state(guest.uuid) == PowerState.NOSTATE
    finally:
        await other.close()


async def test_guests_outlive_the_driver_and_deaths_are_seen(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    guest = make_guest(obeys_acpi=False)
    await boot(driver, guest)
    await driver.close()
    again = LibvirtDriver(options(), DISKS)
    await again.open()
    try:
        assert await again.power_state(guest.uuid) == PowerState.RUNNING
        watcher = Watcher(again, guest)
        pid = int(Path(f"/run/libvirt/qemu/{guest.name}.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        await watcher.saw(PowerState.SHUTDOWN)
        assert watcher.events[0].detail in ("crashed", "failed")
        await again.start(guest.uuid)
    finally:
        await again.close()


async def test_a_guest_defined_by_another_process_is_followed(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    guest, other = make_guest(), LibvirtDriver(options(), DISKS)
    await other.open()
    await driver.define(guest)
    watcher = Watcher(other, guest)
    await other.start(guest.uuid, paused=True)
    await watcher.saw(PowerState.PAUSED)
    await other.close()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=10)


@pytest.fixture
def bridge() -> Iterator[str]:
    name = f"kt{uuid.uuid4().hex[:8]}"
    ip("link", "add", name, "type", "bridge")
    yield name
    ip("link", "del", name)


async def test_a_left_over_tap_is_replaced(driver: LibvirtDriver, make_guest: MakeGuest, bridge: str) -> None:
    tap = f"tap{uuid.uuid4().hex[:8]}"
    guest = make_guest()
    interface = GuestInterface(mac="fa:16:3e:00:00:01", vif=BridgeVif(tap_name=tap, bridge_name=bridge), mtu=1450)
    guest = msgspec.structs.replace(guest, interfaces=(interface,))
    ip("tuntap", "add", tap, "mode", "tap")
    await driver.define(guest)
    await driver.start(guest.uuid)
    device = Path("/sys/class/net", tap)
    assert (device / "master").resolve().name == bridge
    assert (device / "mtu").read_text().strip() == "1450"
    await driver.destroy(guest.uuid)
    assert not device.exists()


async def test_what_is_no_tap_is_not_deleted(driver: LibvirtDriver, make_guest: MakeGuest, bridge: str) -> None:
    guest = make_guest()
    for tap, why in ((bridge, "is no tap"), ("../../etc", "can't name"), ("a" * 16, "can't name")):
        interface = GuestInterface(mac="fa:16:3e:00:00:01", vif=BridgeVif(tap_name=tap, bridge_name=bridge))

        async def launch(interface: GuestInterface = interface) -> None:
            await driver.define(msgspec.structs.replace(guest, interfaces=(interface,)))
            await driver.start(guest.uuid)

        with pytest.raises(VirtError, match=why):
            await launch()
    assert Path("/sys/class/net", bridge).exists()


async def test_a_refusal_carries_libvirts_words(driver: LibvirtDriver, make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.disks[0].source.path.unlink()
    await driver.define(guest)
    with pytest.raises(VirtError, match=rf"start: guest {guest.uuid}: libvirt says: .*\.img"):
        await driver.start(guest.uuid)
    assert await driver.power_state(guest.uuid) == PowerState.SHUTDOWN


class Relay:
    """A socket in front of libvirtd's, to cut its line without harming it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, self.path)

    async def cut(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection("/run/libvirt/libvirt-sock")
        self.writers += [writer, far_writer]
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()


@pytest.mark.parametrize("first", ["libvirt's event thread", "a call"])
async def test_a_lost_connection_comes_back_with_what_was_missed(
    driver: LibvirtDriver, make_guest: MakeGuest, folder: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever finds out first that it is lost."""
    if first == "a call":
        monkeypatch.setattr(Connection, "_on_close", lambda *_: None)
    relay = Relay(folder / "relay")
    await relay.start()
    behind = LibvirtDriver(options(uri=f"qemu+unix:///system?socket={relay.path}", start_daemons=False), DISKS)
    await behind.open()
    try:
        guest = make_guest()
        await behind.define(guest)
        await behind.start(guest.uuid, paused=True)
        watcher = Watcher(behind, guest)
        await watcher.saw()
        await relay.cut()
        if first != "a call":
            await until(lambda: asyncio.sleep(0, behind._connection._conn is None))
        with pytest.raises(HypervisorUnavailable, match="systemctl start libvirtd"):
            await behind.power_state(guest.uuid)
        await driver.destroy(guest.uuid)
        await relay.start()
        await watcher.saw(PowerState.SHUTDOWN)  # without a call: it reconnects by itself
        assert watcher.events[0].detail == "seen after reconnecting"
        assert await behind.power_state(guest.uuid) == PowerState.SHUTDOWN
        await behind.start(guest.uuid, paused=True)
        await watcher.saw(PowerState.SHUTDOWN, PowerState.PAUSED)
    finally:
        await behind.close()
        await relay.cut()


async def test_events_of_an_old_connection_are_dropped(
    driver: LibvirtDriver, make_guest: MakeGuest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, late = Connection._on_lifecycle, asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear_much_later(connection: Connection, *what: Any) -> None:
        if what[2] == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            threading.Timer(4, lambda: (hear(connection, *what), loop.call_soon_threadsafe(late.set))).start()

    monkeypatch.setattr(Connection, "_on_lifecycle", hear_much_later)
    relay = Relay(folder / "relay")
    await relay.start()
    behind = LibvirtDriver(options(uri=f"qemu+unix:///system?socket={relay.path}", start_daemons=False), DISKS)
    await behind.open()
    try:
        guest = make_guest()
        await behind.define(guest)
        watcher = Watcher(behind, guest)
        monkeypatch.setattr("kilonova.compute.virt.libvirt.driver.EVENT_TIMEOUT", 0.2)
        await behind.start(guest.uuid, paused=True)
        await watcher.saw(PowerState.PAUSED)
        assert watcher.events[0].detail == "seen after start"  # the event itself is late
        monkeypatch.setattr(Connection, "_on_lifecycle", hear)
        await relay.cut()
        await driver.destroy(guest.uuid)
        await relay.start()
        await watcher.saw(PowerState.PAUSED, PowerState.SHUTDOWN)
        await asyncio.wait_for(late.wait(), PATIENCE)
        await watcher.saw(PowerState.PAUSED, PowerState.SHUTDOWN)
    finally:
        await behind.close()
        await relay.cut()


async def test_open_probes_and_loads(folder: Path) -> None:
    context = DriverContext(host="h", state_dir=folder, disks=DISKS, options=LibvirtOptions(cloud=CLOUD))
    driver = load("libvirt", context)
    await driver.open()
    try:
        kind = (await driver.capacity()).hypervisor_type
        assert kind in ("KVM", "QEMU")
        assert (folder / "hypervisor-probe.json").exists()

        async def firmware() -> tuple[str, ...] | None:
            return (await driver.capacity()).firmware

        assert await until(firmware) in (
            ("bios",),
            ("bios", "uefi"),
        )  # a new host's libvirtd looks at the emulator first
    finally:
        await driver.close()
    with pytest.raises(HypervisorUnavailable, match="was closed"):
        await driver.capacity()


async def test_open_advises(folder: Path) -> None:
    away = LibvirtDriver(options(uri=f"qemu+unix:///system?socket={folder}/none", start_daemons=False), DISKS)
    with pytest.raises(HypervisorUnavailable, match="apt-get install libvirt-daemon-system"):
        await away.open()
    await away.close()
