"""A hypervisor without guests: thousands of hosts in one process, for scale tests and for trying things out.

What real guests do, these do too: they outlive the process that started them, they die, they ignore ACPI.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from kilonova.compute.diagnostics import DiskCounts, GuestDiagnostics
from kilonova.compute.virt.block import BlockSource, FakeSource, FileSource, NbdSource, NbdTlsSource
from kilonova.compute.virt.capabilities import (
    ConsoleEndpoint,
    CopiesDisks,
    Diagnoses,
    LogsConsole,
    OffersConsoles,
    SetsPasswords,
    Suspends,
    TriggersCrashDumps,
)
from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import (
    GuestInfo,
    GuestNotFound,
    GuestSpec,
    HostCapacity,
    HypervisorUnavailable,
    LifecycleEvent,
    PowerState,
    VirtError,
)
from kilonova.compute.virt.fake_consoles import PretendedConsole, PretendedTerminal, PretendedVnc
from kilonova.compute.virt.fake_devices import FakeDevices, serials
from kilonova.compute.virt.fake_disks import FakeDiskStore
from kilonova.compute.virt.fake_hypervisor import NOT_ALIVE, OFF, FakeGuest, FakeHypervisor
from kilonova.compute.virt.fake_live import FakeLive, Passage
from kilonova.compute.virt.fake_options import FakeOptions, Mishaps
from kilonova.compute.virt.vif import BridgeVif
from kilonova.core.web.relay import ByteStream

__all__ = ["FakeDiskStore", "FakeDriver", "FakeGuest", "FakeHypervisor", "FakeOptions"]

CONSOLES: dict[str, Callable[[str], PretendedConsole]] = {"vnc": PretendedVnc, "serial": PretendedTerminal}


class FakeDriver(
    FakeLive,
    FakeDevices,
    LogsConsole,
    OffersConsoles,
    Suspends,
    CopiesDisks,
    TriggersCrashDumps,
    SetsPasswords,
    Diagnoses,
):
    """One host of a FakeHypervisor. Costs a few hundred bytes until it has guests."""

    name = "fake"
    block_sources = frozenset({FileSource, NbdSource, NbdTlsSource, FakeSource})
    vif_types = frozenset({BridgeVif})
    __slots__ = ("_hypervisor", "_mishaps", "_options", "_passage", "disks", "host")

    def __init__(
        self, host: str, hypervisor: FakeHypervisor, options: FakeOptions, disks: DiskStore | None = None
    ) -> None:
        self.host = host
        self.disks = disks or FakeDiskStore(host, hypervisor, options)
        self._hypervisor = hypervisor
        self._options = options
        self._mishaps = Mishaps(host, hypervisor, options)
        self._passage = Passage()

    async def open(self) -> None:
        await self._mishaps.strike("open", HypervisorUnavailable, self.host)

    async def close(self) -> None:
        return

    async def capacity(self) -> HostCapacity:
        return HostCapacity(
            vcpus=self._options.vcpus,
            memory_mb=self._options.memory_mb,
            disk_gb=self._options.disk_gb,
            hypervisor_type="fake",
            hypervisor_version=1000000,
            cpu_arch="x86_64",
            supported=(("x86_64", "fake", "hvm"),),
        )

    async def guests(self) -> list[GuestInfo]:
        return [
            GuestInfo(uuid=uuid, name=guest.name, power_state=PowerState(guest.state))
            for uuid, guest in self._hypervisor.guests(self.host).items()
        ]

    async def power_state(self, uuid: str) -> PowerState:
        guest = self._hypervisor.guests(self.host).get(uuid)
        return PowerState.NOSTATE if guest is None else PowerState(guest.state)

    async def define(self, guest: GuestSpec) -> None:
        self.must_serve(guest)
        await self._mishaps.strike("define", VirtError, guest.title, guest.name, guest.uuid)
        known = self._hypervisor.guests(self.host).get(guest.uuid)
        fresh = FakeGuest(
            guest.name, guest.title, known.state if known else PowerState.SHUTDOWN, bool(known and known.booted),
            tuple(interface.mac for interface in guest.interfaces), known.life if known else 0, serials(guest.disks),
        )  # fmt: skip
        self._hypervisor.put(self.host, guest.uuid, fresh)

    async def undefine(self, uuid: str) -> None:
        guest = self._hypervisor.guests(self.host).get(uuid)
        if guest is None:
            return
        await self._strike("undefine", uuid, guest)
        if guest.state not in NOT_ALIVE:
            raise VirtError(f"undefine: guest {uuid} is not off: destroy it first")
        self._hypervisor.drop(self.host, uuid)

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        guest = await self._act("start", uuid)
        if guest.state in NOT_ALIVE:
            self._become(uuid, PowerState.PAUSED if paused else PowerState.RUNNING)

    async def pause(self, uuid: str) -> None:
        await self._live("pause", uuid)
        self._become(uuid, PowerState.PAUSED)

    async def resume(self, uuid: str) -> None:
        await self._live("resume", uuid)
        self._become(uuid, PowerState.RUNNING)

    async def suspend(self, uuid: str) -> None:
        guest = await self._act("suspend", uuid)
        if guest.state in OFF:
            raise VirtError(f"suspend: guest {uuid}: it is off")
        self._become(uuid, PowerState.SUSPENDED, "saved")

    async def restore(self, uuid: str, *, paused: bool = False) -> None:
        guest = await self._act("restore", uuid)
        if guest.state in OFF:
            raise VirtError(f"restore: guest {uuid}: no memory of it is saved")
        if guest.state == PowerState.SUSPENDED:
            self._become(uuid, PowerState.PAUSED if paused else PowerState.RUNNING)

    async def copy_disk(self, uuid: str, disk: BlockSource, target: BlockSource, *, quiesce: bool | None) -> None:
        await self._live("copy_disk", uuid)
        if quiesce:
            raise VirtError(f"copy_disk: guest {uuid}: it has no agent")

    async def trigger_crash_dump(self, uuid: str) -> None:
        await self._live("trigger_crash_dump", uuid)

    async def set_password(self, uuid: str, user: str, password: str) -> None:
        await self._live("set_password", uuid)

    async def diagnostics(self, uuid: str) -> GuestDiagnostics:
        await self._live("diagnostics", uuid)
        disk = DiskCounts(device="vda", read_bytes=262144, read_requests=112, write_bytes=5778432, write_requests=488)
        return GuestDiagnostics(
            driver="fake", hypervisor="fake", cpu_times=[17_300_000_000], memory_maximum=524288, memory_used=262144,
            disks=[disk],
        )  # fmt: skip

    async def shutdown(self, uuid: str, *, timeout: float) -> bool:
        guest = await self._act("shutdown", uuid)
        if guest.state in OFF:
            return True
        if guest.state != PowerState.RUNNING:
            return False
        deaf = self._options.ignore_acpi
        if deaf and any(fnmatchcase(name, deaf) for name in (guest.title, guest.name, uuid)):
            return await self._ended_by_another(uuid, timeout)
        self._become(uuid, PowerState.SHUTDOWN, "shutdown")
        return True

    async def reboot(self, uuid: str, *, timeout: float) -> bool:
        if not await self.shutdown(uuid, timeout=timeout):
            return False
        await self.start(uuid)
        return True

    async def destroy(self, uuid: str) -> None:
        guest = self._hypervisor.guests(self.host).get(uuid)
        if guest is None:
            return
        await self._strike("destroy", uuid, guest)
        if guest.state not in OFF:
            self._become(uuid, PowerState.SHUTDOWN, "destroyed")

    async def console_log(self, uuid: str, *, max_bytes: int) -> bytes:
        guest = await self._act("console_log", uuid)
        if not guest.booted:
            return b""
        host_name = guest.title or guest.name
        text = (
            "[    0.000000] Linux version 6.1.0-fake-amd64\n"
            "[    0.004000] Command line: root=/dev/vda console=ttyS0\n"
            f"cloud-init: instance-id {uuid}\n"
            f"\n{host_name} login: "
        )
        return text.encode()[-max_bytes:] if max_bytes > 0 else b""

    async def console(self, uuid: str, kind: str) -> ConsoleEndpoint:
        guest = await self._act("console", uuid)
        if kind not in CONSOLES:
            raise VirtError(f"console of guest {uuid}: no console of kind {kind!r} here, only {', '.join(CONSOLES)}")
        if guest.state in NOT_ALIVE:
            raise VirtError(f"console of guest {uuid}: it has none now; is it running?")
        path = Path("/nowhere/kilonova-fake") / uuid / f"{kind}.sock"
        return ConsoleEndpoint(uuid=uuid, kind=kind, path=path, life=str(guest.life))

    async def open_console(self, endpoint: ConsoleEndpoint) -> ByteStream:
        uuid = endpoint.uuid
        if await self.console(uuid, endpoint.kind) != endpoint:
            raise VirtError(f"console of guest {uuid}: it was switched off meanwhile")
        guest = self._hypervisor.guests(self.host)[uuid]
        console = CONSOLES[endpoint.kind](guest.title or guest.name)

        def seen(event: LifecycleEvent) -> None:
            if event.uuid == uuid and event.power_state in NOT_ALIVE:
                console.end()

        console.ended = self.subscribe(seen)
        return console

    def subscribe(self, listener: Callable[[LifecycleEvent], None]) -> Callable[[], None]:
        return self._hypervisor.subscribe(self.host, listener)

    # inside

    async def _strike(self, operation: str, uuid: str, guest: FakeGuest) -> None:
        await self._mishaps.strike(operation, VirtError, guest.title, guest.name, uuid)

    async def _act(self, operation: str, uuid: str) -> FakeGuest:
        """The guest as it is once the operation took its time; raises GuestNotFound, or VirtError where the options let it
        fail."""
        guest = self._hypervisor.guests(self.host).get(uuid)
        if guest is not None:
            await self._strike(operation, uuid, guest)
            guest = self._hypervisor.guests(self.host).get(uuid)
        if guest is None:
            raise GuestNotFound(f"{operation}: guest {uuid}: no such guest")
        return guest

    async def _live(self, operation: str, uuid: str) -> None:
        if (await self._act(operation, uuid)).state in NOT_ALIVE:
            raise VirtError(f"{operation}: guest {uuid}: it is off")

    async def _ended_by_another(self, uuid: str, timeout: float) -> bool:
        """Whether a guest that ignores its shutdown is destroyed within `timeout` seconds."""
        off = asyncio.get_running_loop().create_future()

        def seen(event: LifecycleEvent) -> None:
            if event.uuid == uuid and event.power_state in OFF and not off.done():
                off.set_result(None)

        unsubscribe, waiting = self.subscribe(seen), asyncio.ensure_future(self._hypervisor.clock.sleep(timeout))
        try:
            await asyncio.wait([off, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            unsubscribe()
            waiting.cancel()
        return off.done()

    def _become(self, uuid: str, state: PowerState, detail: str = "") -> None:
        self._hypervisor.become(self.host, uuid, state, detail)
