"""What every hypervisor driver must do. A test module inherits `Conformance` and the suites of the driver's capabilities, and
gives the fixtures `driver` (opened) and `make_guest`; the guests it makes are gone when the test ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from kilonova.compute.virt.block import FileSource, NbdSource
from kilonova.compute.virt.capabilities import (
    CopiesDisks,
    Diagnoses,
    LiveMigrates,
    LogsConsole,
    NoGuestAgent,
    OffersConsoles,
    PlugsDisks,
    PlugsInterfaces,
    Sending,
    SetsPasswords,
    Suspends,
    TriggersCrashDumps,
)
from kilonova.compute.virt.driver import (
    GuestDisk,
    GuestInterface,
    GuestNotFound,
    GuestSpec,
    LifecycleEvent,
    NotServed,
    PowerState,
    VirtDriver,
    VirtError,
)
from kilonova.compute.virt.vif import BridgeVif
from tests.eventually import PATIENCE, until

RUNNING, PAUSED, SHUTDOWN, NOSTATE = PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTDOWN, PowerState.NOSTATE
SUSPENDED = PowerState.SUSPENDED


class Foreign(msgspec.Struct, frozen=True, tag="foreign"):
    """A block source or vif that no driver serves."""


FOREIGN: Any = Foreign()


class LogsDriver(VirtDriver, LogsConsole):
    pass


class ConsolesDriver(VirtDriver, OffersConsoles):
    pass


class SuspendsDriver(VirtDriver, Suspends):
    pass


class CopiesDriver(VirtDriver, CopiesDisks):
    pass


class DumpsDriver(VirtDriver, TriggersCrashDumps):
    pass


class PlugsDriver(VirtDriver, PlugsInterfaces):
    pass


class PlugsDisksDriver(VirtDriver, PlugsDisks):
    pass


class PasswordsDriver(VirtDriver, SetsPasswords):
    pass


class DiagnosesDriver(VirtDriver, Diagnoses):
    pass


class LiveDriver(VirtDriver, LiveMigrates):
    pass


class MakeGuest(Protocol):
    def __call__(self, *, obeys_acpi: bool = True, title: str = "") -> GuestSpec: ...


MakeCopy = Callable[[GuestSpec], tuple[FileSource, FileSource]]


class Watcher:
    """Lifecycle events of one guest, in order."""

    def __init__(self, driver: VirtDriver, guest: GuestSpec) -> None:
        self.events: list[LifecycleEvent] = []
        self.stop = driver.subscribe(lambda e: self.events.append(e) if e.uuid == guest.uuid else None)

    async def saw(self, *states: PowerState) -> None:
        async def there() -> bool:
            return [event.power_state for event in self.events] == list(states)

        try:
            await until(there)
        except AssertionError:
            raise AssertionError(f"wanted {states}, saw {self.events}") from None


async def boot(driver: VirtDriver, guest: GuestSpec) -> None:
    """Define and start it, and wait until its code runs."""
    await driver.define(guest)
    await driver.start(guest.uuid)
    if not isinstance(driver, LogsConsole):
        return

    async def speaks() -> bool:
        return len(await driver.console_log(guest.uuid, max_bytes=1000)) > 0

    await until(speaks)


class Conformance:
    async def test_a_guest_goes_through_its_states_with_an_event_for_each(
        self, driver: VirtDriver, make_guest: MakeGuest
    ) -> None:
        guest = make_guest()
        watcher = Watcher(driver, guest)
        await driver.define(guest)
        assert await driver.power_state(guest.uuid) == SHUTDOWN
        await driver.start(guest.uuid, paused=True)
        assert await driver.power_state(guest.uuid) == PAUSED
        await watcher.saw(PAUSED)  # never RUNNING before the network was ready
        await driver.resume(guest.uuid)
        assert await driver.power_state(guest.uuid) == RUNNING
        await driver.pause(guest.uuid)
        assert await driver.power_state(guest.uuid) == PAUSED
        await driver.resume(guest.uuid)
        await driver.destroy(guest.uuid)
        assert await driver.power_state(guest.uuid) == SHUTDOWN
        await watcher.saw(PAUSED, RUNNING, PAUSED, RUNNING, SHUTDOWN)
        assert watcher.events[-1].detail == "destroyed"
        await driver.undefine(guest.uuid)
        assert await driver.power_state(guest.uuid) == NOSTATE

    async def test_an_operation_returns_after_its_event(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        """A listener that subscribes then does not get it, only later events."""
        guest = make_guest()
        before = Watcher(driver, guest)
        await driver.define(guest)
        acts: tuple[tuple[Callable[[], Awaitable[None]], PowerState], ...] = (
            (lambda: driver.start(guest.uuid, paused=True), PAUSED),
            (lambda: driver.resume(guest.uuid), RUNNING),
            (lambda: driver.pause(guest.uuid), PAUSED),
            (lambda: driver.destroy(guest.uuid), SHUTDOWN),
            (lambda: driver.start(guest.uuid), RUNNING),
        )
        for act, state in acts:
            watcher = Watcher(driver, guest)
            await act()
            assert [event.power_state for event in watcher.events] == [state]
        assert len(before.events) == len(acts)

    async def test_every_act_may_be_repeated(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        watcher = Watcher(driver, guest)
        acts: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: driver.define(guest),
            lambda: driver.start(guest.uuid, paused=True),
            lambda: driver.resume(guest.uuid),
            lambda: driver.start(guest.uuid),
            lambda: driver.pause(guest.uuid),
            lambda: driver.start(guest.uuid),  # a paused guest is a started one
            lambda: driver.destroy(guest.uuid),
            lambda: driver.undefine(guest.uuid),
        )
        for act in acts:
            await act()
            await act()
        await watcher.saw(PAUSED, RUNNING, PAUSED, SHUTDOWN)

    async def test_two_at_once_are_as_good_as_one(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await driver.define(guest)
        await asyncio.gather(*(driver.start(guest.uuid) for _ in range(3)))
        assert await driver.power_state(guest.uuid) == RUNNING
        await asyncio.gather(*(driver.destroy(guest.uuid) for _ in range(3)))
        assert await driver.power_state(guest.uuid) == SHUTDOWN

    async def test_unknown_guests(self, driver: VirtDriver) -> None:
        unknown = str(uuid.uuid4())
        assert await driver.power_state(unknown) == NOSTATE
        assert await driver.power_state("no uuid at all") == NOSTATE
        await driver.destroy(unknown)
        await driver.undefine(unknown)
        for act in (
            lambda: driver.start(unknown),
            lambda: driver.pause(unknown),
            lambda: driver.resume(unknown),
            lambda: driver.shutdown(unknown, timeout=1),
            lambda: driver.reboot(unknown, timeout=1),
        ):
            with pytest.raises(GuestNotFound, match=unknown):
                await act()

    async def test_what_an_off_guest_refuses(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await driver.define(guest)
        for act in (driver.pause, driver.resume):
            with pytest.raises(VirtError, match=guest.uuid):
                await act(guest.uuid)
        assert await driver.shutdown(guest.uuid, timeout=1)

    async def test_a_started_guest_is_not_forgotten(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await driver.define(guest)
        await driver.start(guest.uuid, paused=True)
        with pytest.raises(VirtError, match="destroy it first"):
            await driver.undefine(guest.uuid)
        await driver.define(guest)  # a new definition leaves it as it is
        assert await driver.power_state(guest.uuid) == PAUSED

    async def test_shutdown_and_reboot_of_a_guest_that_obeys(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)
        watcher = Watcher(driver, guest)
        assert await driver.reboot(guest.uuid, timeout=20)
        await watcher.saw(SHUTDOWN, RUNNING)
        assert watcher.events[0].detail == "shutdown"
        await driver.pause(guest.uuid)
        assert not await driver.shutdown(guest.uuid, timeout=20)  # paused guests do not react

    async def test_shutdown_of_a_guest_that_does_not(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest(obeys_acpi=False)
        await boot(driver, guest)
        began = time.monotonic()
        assert not await driver.shutdown(guest.uuid, timeout=0.7)
        assert 0.5 < time.monotonic() - began < 20
        assert not await driver.reboot(guest.uuid, timeout=0.1)
        assert await driver.power_state(guest.uuid) == RUNNING

    async def test_a_shutdown_ends_early_when_the_plug_is_pulled(
        self, driver: VirtDriver, make_guest: MakeGuest
    ) -> None:
        guest = make_guest(obeys_acpi=False)
        await boot(driver, guest)
        waiting = asyncio.create_task(driver.shutdown(guest.uuid, timeout=600))
        await asyncio.sleep(0.1)
        await driver.destroy(guest.uuid)
        assert await asyncio.wait_for(waiting, PATIENCE)

    @pytest.mark.parametrize(
        ("device", "served"),
        [
            ({"disks": (GuestDisk(source=FOREIGN, target="vdz"),)}, "disk vdz .* serve foreign, only .*file"),
            (
                {"interfaces": (GuestInterface(mac="fa:16:3e:0:0:1", vif=FOREIGN),)},
                "interface fa.* foreign, only .*bridge",
            ),
        ],
    )
    async def test_a_device_that_is_not_served_is_refused_before_anything_is_made(
        self, driver: VirtDriver, make_guest: MakeGuest, device: dict[str, Any], served: str
    ) -> None:
        guest = make_guest()
        with pytest.raises(NotServed, match=served):
            await driver.define(msgspec.structs.replace(guest, **device))
        assert await driver.power_state(guest.uuid) == NOSTATE

    async def test_listing(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        one, two = make_guest(title="Ümlaut <&> \x00\x1b[31m\n'\""), make_guest()
        await driver.define(one)
        await driver.define(two)
        await driver.start(two.uuid, paused=True)
        listed = {info.uuid: (info.name, info.power_state) for info in await driver.guests()}
        assert listed[one.uuid] == (one.name, SHUTDOWN)
        assert listed[two.uuid] == (two.name, PAUSED)
        await driver.undefine(one.uuid)
        assert one.uuid not in {info.uuid for info in await driver.guests()}

    async def test_an_unsubscribed_listener_gets_no_event(self, driver: VirtDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        deaf, ears = Watcher(driver, guest), Watcher(driver, guest)
        deaf.stop()
        await driver.define(guest)
        await driver.start(guest.uuid, paused=True)
        await ears.saw(PAUSED)
        assert deaf.events == []

    async def test_capacity(self, driver: VirtDriver) -> None:
        capacity = await driver.capacity()
        assert capacity.vcpus > 0
        assert capacity.memory_mb > 100
        assert capacity.disk_gb > 0
        assert capacity.hypervisor_version >= 1_000_000
        assert (capacity.cpu_arch, capacity.hypervisor_type.lower(), "hvm") in capacity.supported

    async def test_each_capability_is_tested(self, driver: VirtDriver) -> None:
        for capability, suite in CAPABILITIES.items():
            assert isinstance(driver, capability) == isinstance(self, suite), suite.__name__


class LogsConsoleConformance:
    async def test_the_serial_console_is_logged(self, driver: LogsDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)

        async def whole() -> bool:
            return len(await driver.console_log(guest.uuid, max_bytes=10_000)) > 8

        await until(whole)
        log = await driver.console_log(guest.uuid, max_bytes=10_000)
        assert await driver.console_log(guest.uuid, max_bytes=3) == log[-3:]

    async def test_logs_of_guests_that_never_ran(self, driver: LogsDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await driver.define(guest)
        assert await driver.console_log(guest.uuid, max_bytes=100) == b""
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.console_log(unknown, max_bytes=10)


class OffersConsolesConformance:
    @pytest.mark.parametrize("kind", ["vnc", "serial"])
    async def test_consoles(self, driver: ConsolesDriver, make_guest: MakeGuest, kind: str) -> None:
        """They end with the guest, and are others when it was switched off and on."""
        guest = make_guest()
        await boot(driver, guest)
        endpoint = await driver.console(guest.uuid, kind)
        assert endpoint.kind == kind
        assert endpoint.path.is_absolute()
        assert await driver.console(guest.uuid, kind) == endpoint
        stream = await driver.open_console(endpoint)
        if kind == "vnc":
            assert await stream.read() == b"RFB 003.008\n"
        await driver.destroy(guest.uuid)
        async with asyncio.timeout(PATIENCE):
            while await stream.read():
                pass
        await stream.close()
        await stream.close()
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.open_console(endpoint)
        await driver.start(guest.uuid)
        again = await driver.console(guest.uuid, kind)
        assert again.life != endpoint.life
        await (await driver.open_console(again)).close()
        await driver.destroy(guest.uuid)
        await driver.undefine(guest.uuid)
        await boot(driver, guest)
        assert (await driver.console(guest.uuid, kind)).life not in (endpoint.life, again.life)

    async def test_consoles_of_another_kind(self, driver: ConsolesDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)
        for kind in ("spice", "no such kind"):
            with pytest.raises(VirtError, match=kind):
                await driver.console(guest.uuid, kind)

    @pytest.mark.parametrize("kind", ["vnc", "serial"])
    async def test_guests_that_have_none(self, driver: ConsolesDriver, make_guest: MakeGuest, kind: str) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await driver.define(guest)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.console(guest.uuid, kind)
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.console(unknown, kind)


class SuspendsConformance:
    async def test_a_suspended_guest_comes_back_as_it_was(self, driver: SuspendsDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)
        watcher = Watcher(driver, guest)
        for paused, state in ((False, RUNNING), (True, PAUSED)):
            for _ in range(2):
                await driver.suspend(guest.uuid)
                assert await driver.power_state(guest.uuid) == SUSPENDED
                assert watcher.events[-1].power_state == SUSPENDED
            assert (guest.uuid, SUSPENDED) in {(info.uuid, info.power_state) for info in await driver.guests()}
            for _ in range(2):
                await driver.restore(guest.uuid, paused=paused)
                assert await driver.power_state(guest.uuid) == state
                assert watcher.events[-1].power_state == state
        await driver.suspend(guest.uuid)  # a paused one too
        await driver.restore(guest.uuid)
        assert await driver.power_state(guest.uuid) == RUNNING

    async def test_saved_memory_is_forgotten_with_the_plug(self, driver: SuspendsDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)
        await driver.suspend(guest.uuid)
        watcher = Watcher(driver, guest)
        for _ in range(2):
            await driver.destroy(guest.uuid)
            assert await driver.power_state(guest.uuid) == SHUTDOWN
        assert [(event.power_state, event.detail) for event in watcher.events] == [(SHUTDOWN, "destroyed")]
        with pytest.raises(VirtError, match="no memory of it is saved"):
            await driver.restore(guest.uuid)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.suspend(guest.uuid)

    async def test_a_start_forgets_saved_memory(self, driver: SuspendsDriver, make_guest: MakeGuest) -> None:
        guest = make_guest()
        await boot(driver, guest)
        await driver.suspend(guest.uuid)
        assert not await driver.shutdown(guest.uuid, timeout=1)  # suspended guests ignore it
        await driver.define(guest)
        assert await driver.power_state(guest.uuid) == SUSPENDED  # a new definition leaves it as it is
        await driver.start(guest.uuid)
        await driver.destroy(guest.uuid)
        assert await driver.power_state(guest.uuid) == SHUTDOWN

    async def test_a_suspended_guest_may_be_undefined(self, driver: SuspendsDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await boot(driver, guest)
        await driver.suspend(guest.uuid)
        await driver.undefine(guest.uuid)
        await driver.define(guest)
        assert await driver.power_state(guest.uuid) == SHUTDOWN
        for act in (driver.suspend, driver.restore):
            with pytest.raises(GuestNotFound, match=unknown):
                await act(unknown)


class CopiesDisksConformance:
    """Of a guest whose first disk is `make_guest`'s; the fixture `copy` gives it and where its copy goes."""

    @pytest.fixture
    def copy(self, tmp_path: Path) -> MakeCopy:
        """(the guest's disk, its target): files that do not exist, for drivers without data."""
        return lambda guest: (
            FileSource(path=tmp_path / "disk", format="qcow2"), FileSource(path=tmp_path / "copy", format="qcow2"),
        )  # fmt: skip

    async def test_a_disk_is_copied_while_its_guest_runs(
        self, driver: CopiesDriver, make_guest: MakeGuest, copy: MakeCopy
    ) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await boot(driver, guest)
        disk, target = copy(guest)
        watcher = Watcher(driver, guest)
        await driver.copy_disk(guest.uuid, disk, target, quiesce=False)
        assert await driver.power_state(guest.uuid) == RUNNING
        await driver.copy_disk(guest.uuid, disk, target, quiesce=None)  # there is no agent
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.copy_disk(guest.uuid, disk, target, quiesce=True)
        assert watcher.events == []
        await driver.pause(guest.uuid)
        await driver.copy_disk(guest.uuid, disk, target, quiesce=False)
        assert await driver.power_state(guest.uuid) == PAUSED
        await driver.destroy(guest.uuid)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.copy_disk(guest.uuid, disk, target, quiesce=False)
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.copy_disk(unknown, disk, target, quiesce=False)


class TriggersCrashDumpsConformance:
    async def test_a_guest_is_interrupted(self, driver: DumpsDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await boot(driver, guest)
        watcher = Watcher(driver, guest)
        await driver.trigger_crash_dump(guest.uuid)
        assert watcher.events == []  # the guest decides what it does then
        await driver.destroy(guest.uuid)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.trigger_crash_dump(guest.uuid)
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.trigger_crash_dump(unknown)


class PlugsInterfacesConformance:
    """Of guests that are off: what one that runs does with a device is its operating system's, see tests/host."""

    async def test_interfaces_come_and_go(self, driver: PlugsDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        vif = BridgeVif(tap_name="tap0a1b2c3d-4e", bridge_name="brq00000000-01")
        interface = GuestInterface(mac="fa:16:3e:0a:0b:0c", vif=vif, mtu=1450)
        await driver.define(guest)
        before = await driver.interfaces(guest.uuid)
        for _ in range(2):
            await driver.attach_interface(guest.uuid, interface)
            assert await driver.interfaces(guest.uuid) == before | {interface.mac}
        for _ in range(2):
            assert await driver.detach_interface(guest.uuid, interface.mac, timeout=5)
            assert await driver.interfaces(guest.uuid) == before
        with pytest.raises(NotServed, match="foreign"):
            await driver.attach_interface(guest.uuid, msgspec.structs.replace(interface, vif=FOREIGN))
        for act in (
            driver.attach_interface(unknown, interface),
            driver.detach_interface(unknown, interface.mac, timeout=1),
            driver.interfaces(unknown),
        ):
            with pytest.raises(GuestNotFound, match=unknown):
                await act


class PlugsDisksConformance:
    """Of guests that are off, as for interfaces."""

    async def test_disks_come_and_go(self, driver: PlugsDisksDriver, make_guest: MakeGuest) -> None:
        guest, unknown, serial = make_guest(), str(uuid.uuid4()), str(uuid.uuid4())
        source = NbdSource(export=serial, socket=Path("/nowhere/nbd"))
        disk = GuestDisk(source=source, target="vdb", serial=serial)
        await driver.define(guest)
        before = await driver.disks_of(guest.uuid)
        for _ in range(2):
            assert await driver.attach_disk(guest.uuid, disk) == "vdb"
            assert await driver.disks_of(guest.uuid) == before | {serial: "vdb"}
        other = msgspec.structs.replace(disk, serial=str(uuid.uuid4()))
        name = await driver.attach_disk(guest.uuid, other)
        assert name not in ("vda", "vdb")
        assert await driver.disks_of(guest.uuid) == before | {serial: "vdb", other.serial: name}
        await driver.resize_disk(guest.uuid, serial, 2 << 30)
        for _ in range(2):
            assert await driver.detach_disk(guest.uuid, serial, timeout=5)
            assert await driver.disks_of(guest.uuid) == before | {other.serial: name}
        with pytest.raises(NotServed, match="foreign"):
            await driver.attach_disk(guest.uuid, msgspec.structs.replace(disk, source=FOREIGN))
        with pytest.raises(VirtError, match="no serial"):
            await driver.attach_disk(guest.uuid, msgspec.structs.replace(disk, serial=None))
        for act in (
            driver.attach_disk(unknown, disk),
            driver.detach_disk(unknown, serial, timeout=1),
            driver.resize_disk(unknown, serial, 2 << 30),
            driver.disks_of(unknown),
        ):
            with pytest.raises(GuestNotFound, match=unknown):
                await act

    async def test_disks_of_the_definition(self, driver: PlugsDisksDriver, make_guest: MakeGuest) -> None:
        guest, serial = make_guest(), str(uuid.uuid4())
        source = NbdSource(export=serial, socket=Path("/nowhere/nbd"))
        disks = (*guest.disks, GuestDisk(source=source, target="vdc", serial=serial))
        await driver.define(msgspec.structs.replace(guest, disks=disks))
        assert await driver.disks_of(guest.uuid) == {serial: "vdc"}
        await driver.define(guest)
        assert await driver.disks_of(guest.uuid) == {}


class SetsPasswordsConformance:
    async def test_passwords_of_guests_that_run(self, driver: PasswordsDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await boot(driver, guest)
        with contextlib.suppress(NoGuestAgent):
            await driver.set_password(guest.uuid, "root", "s3cret")
        await driver.destroy(guest.uuid)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.set_password(guest.uuid, "root", "s3cret")
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.set_password(unknown, "root", "s3cret")


class DiagnosesConformance:
    async def test_what_a_guest_uses_is_counted(self, driver: DiagnosesDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await boot(driver, guest)
        found = await driver.diagnostics(guest.uuid)
        assert found.driver == driver.name
        assert len(found.cpu_times) == guest.vcpus
        assert all(time > 0 for time in found.cpu_times)
        assert 0 < found.memory_used <= found.memory_maximum
        assert [disk.device for disk in found.disks] == ["vda"]
        await driver.destroy(guest.uuid)
        with pytest.raises(VirtError, match=guest.uuid):
            await driver.diagnostics(guest.uuid)
        with pytest.raises(GuestNotFound, match=unknown):
            await driver.diagnostics(unknown)


class LiveMigratesConformance:
    """Of one host: what leads to another is tested with two (`tests/process/cloud/test_live_migration.py`, `tests/host`)."""

    async def test_what_guests_need_their_own_host_has(self, driver: LiveDriver, make_guest: MakeGuest) -> None:
        guest, unknown = make_guest(), str(uuid.uuid4())
        await driver.define(guest)
        with pytest.raises(VirtError, match="off"):
            await driver.guest_needs(guest.uuid)
        with pytest.raises(GuestNotFound):
            await driver.guest_needs(unknown)
        await driver.start(guest.uuid)
        needs = await driver.guest_needs(guest.uuid)
        assert needs["driver"] == driver.name
        await driver.check_needs(needs)
        with pytest.raises(VirtError, match="another"):
            await driver.check_needs(needs | {"driver": "another"})

    async def test_a_guest_that_is_sent_to_nobody_stays(self, driver: LiveDriver, make_guest: MakeGuest) -> None:
        guest, migration = make_guest(), str(uuid.uuid4())
        await driver.define(guest)
        await driver.start(guest.uuid)
        assert await driver.progress(guest.uuid) is None
        await driver.give_up(guest.uuid)  # nothing is under way
        ways = await driver.ways(migration)
        try:
            sending = Sending(migration=migration, ways=ways, differs={}, copied=True)
            with pytest.raises(VirtError, match=guest.uuid):
                await driver.send(guest.uuid, sending)  # no socket is there
            assert await driver.power_state(guest.uuid) == RUNNING
            assert await driver.progress(guest.uuid) is None
        finally:
            for _ in range(2):
                await driver.received(guest.uuid, migration)
        assert not any(path.parent.exists() for path in ways.values())

    async def test_a_host_makes_ready_again(self, driver: LiveDriver, make_guest: MakeGuest) -> None:
        guest, migration = make_guest(), str(uuid.uuid4())
        for _ in range(2):
            ways, _ = await driver.receive(guest.uuid, migration)
        assert ways
        await driver.received(guest.uuid, migration)
        assert await driver.power_state(guest.uuid) == NOSTATE


CAPABILITIES: dict[type, type] = {
    LiveMigrates: LiveMigratesConformance,
    LogsConsole: LogsConsoleConformance,
    OffersConsoles: OffersConsolesConformance,
    Suspends: SuspendsConformance,
    CopiesDisks: CopiesDisksConformance,
    TriggersCrashDumps: TriggersCrashDumpsConformance,
    PlugsInterfaces: PlugsInterfacesConformance,
    PlugsDisks: PlugsDisksConformance,
    SetsPasswords: SetsPasswordsConformance,
    Diagnoses: DiagnosesConformance,
}
