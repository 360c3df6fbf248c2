"""The libvirt driver: every method is one short blocking function on a `virDomain`, run on the connection's threads."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt
import msgspec

from kilonova.compute.diagnostics import GuestDiagnostics
from kilonova.compute.virt.block import BlockSource, FileSource, NbdTlsSource, RbdSource
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
from kilonova.compute.virt.libvirt import consoles, disk_copy, disks, domains, secrets
from kilonova.compute.virt.libvirt.connection import Connection
from kilonova.compute.virt.libvirt.daemons import ensure_daemons
from kilonova.compute.virt.libvirt.devices import SOURCES, VIFS
from kilonova.compute.virt.libvirt.diagnostics import diagnostics_of
from kilonova.compute.virt.libvirt.domain_xml import domain_xml
from kilonova.compute.virt.libvirt.events import WAITS
from kilonova.compute.virt.libvirt.guest_states import GuestStates
from kilonova.compute.virt.libvirt.host import Kind, firmware, read_capacity, read_kind
from kilonova.compute.virt.libvirt.hot_plug import ASK_AGAIN, HotPlug
from kilonova.compute.virt.libvirt.live import LibvirtLive
from kilonova.compute.virt.libvirt.logtail import tail
from kilonova.compute.virt.libvirt.options import HostFacts, LibvirtOptions
from kilonova.compute.virt.libvirt.probe import probe
from kilonova.compute.virt.libvirt.remote_disks import RemoteDisks, ensure
from kilonova.compute.virt.libvirt.waiting import WaitingGuests
from kilonova.core import log
from kilonova.core.folders import runtime_folder
from kilonova.core.web.relay import ByteStream

T = TypeVar("T")
LOCAL_URI = "qemu:///system"
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
GONE = OFF | {PowerState.NOSTATE}
STARTED = frozenset({PowerState.RUNNING, PowerState.PAUSED})
MEMORY_TIMEOUT = 3600.0  # seconds that writing or reading a guest's memory may take
EVENT_TIMEOUT = 3.0  # seconds from the end of an operation to its event; after them the state is asked for

LOG = log.get(__name__)


class LibvirtDriver(
    LibvirtLive,
    HotPlug,
    LogsConsole,
    OffersConsoles,
    Suspends,
    CopiesDisks,
    TriggersCrashDumps,
    SetsPasswords,
    Diagnoses,
):
    """Guests of one libvirtd. Domains without our mark are never listed, changed or reported."""

    name = "libvirt"
    block_sources = frozenset({*SOURCES, NbdTlsSource})  # of the last, `remote_disks` makes one of the others
    vif_types = frozenset(VIFS)

    def __init__(self, options: LibvirtOptions, disks: DiskStore) -> None:
        self.options = options
        self.disks = disks
        self._states = GuestStates()
        self._waiting = WaitingGuests(self._go_on)
        self._remote = RemoteDisks(runtime_folder(options.state_dir) / "disks", options.guest_user)
        self._facts: HostFacts | None = None
        self._kind: Kind | None = None  # forgotten with each connection
        self._firmware: tuple[str, ...] | None = None
        self._warming: asyncio.Future[None] | None = None
        self._connection = Connection(
            options.uri,
            prepare=self._prepare,
            on_open=self._catch_up,
            on_event=self._seen,
            workers=options.workers,
            call_timeout=options.call_timeout,
        )

    async def open(self) -> None:
        await self._connection.open()
        virt_type = self.options.virt_type
        if virt_type == "auto":
            virt_type = (await probe(self.options.state_dir / "hypervisor-probe.json")).virt_type
        arch, version = await self._connection.run(
            "read the host's architecture", lambda conn: (str(conn.getInfo()[0]), int(conn.getLibVersion()))
        )
        self._facts = HostFacts.of(self.options, virt_type=virt_type, arch=arch, version=version)
        used = await self._connection.run("list disks", lambda conn: domains.sockets(conn, self.options.mark))
        await self._remote.forget_all_but(used)
        self._warming = asyncio.ensure_future(self._warm_up(arch, virt_type))

    async def _warm_up(self, arch: str, virt_type: str) -> None:
        """Let libvirtd ask the emulator what it can do now: on a new host that takes many seconds, which the first
        launch would spend in `define`."""
        machine = self.options.machine
        with contextlib.suppress(VirtError):
            text = await self._connection.run(
                "read the emulator's capabilities",
                lambda conn: conn.getDomainCapabilities(None, arch, machine, virt_type),
            )
            self._firmware = firmware(text)

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        self._waiting.close()
        await self._connection.close()

    async def capacity(self) -> HostCapacity:
        virt_type = self._host().virt_type

        def read(conn: Any) -> HostCapacity:
            kind = self._kind = self._kind or read_kind(conn, virt_type)
            return read_capacity(conn, self.options, virt_type, kind)

        found = await self._connection.run("read the host's capacity", read)
        total = await self.disks.total_gb()
        return msgspec.structs.replace(
            found, firmware=self._firmware, disk_gb=found.disk_gb if total is None else total
        )

    async def guests(self) -> list[GuestInfo]:
        return await self._connection.run("list guests", self._list)

    async def power_state(self, uuid: str) -> PowerState:
        try:
            return await self._domain("ask for the state", uuid, domains.state_of)
        except GuestNotFound:
            return PowerState.NOSTATE

    async def define(self, guest: GuestSpec) -> None:
        self.must_serve(guest)
        guest = msgspec.structs.replace(guest, disks=await self._remote.near(guest.disks))
        text = domain_xml(guest, self._host())
        unused = await self._connection.run(f"define guest {guest.uuid}", lambda conn: self._define(conn, guest, text))
        await self._remote.forget(unused)
        self._states.follow(guest.uuid, PowerState.SHUTDOWN)

    async def undefine(self, uuid: str) -> None:
        with contextlib.suppress(GuestNotFound):
            sockets = (await self._domain("list disks", uuid, disks.sources)).values()
            await self._domain("undefine", uuid, domains.undefine)
            await self._remote.forget(sockets)
        self._states.forget(uuid)

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        await self._act("start", uuid, functools.partial(domains.start, paused=paused), STARTED)

    async def pause(self, uuid: str) -> None:
        await self._act("pause", uuid, domains.pause, frozenset({PowerState.PAUSED}))

    async def resume(self, uuid: str) -> None:
        await self._act("resume", uuid, domains.resume, frozenset({PowerState.RUNNING}))

    async def suspend(self, uuid: str) -> None:
        await self._act("suspend", uuid, domains.suspend, frozenset({PowerState.SUSPENDED}), timeout=MEMORY_TIMEOUT)

    async def restore(self, uuid: str, *, paused: bool = False) -> None:
        act = functools.partial(domains.restore, paused=paused)
        await self._act("restore", uuid, act, STARTED, timeout=MEMORY_TIMEOUT)

    async def copy_disk(self, uuid: str, disk: BlockSource, target: BlockSource, *, quiesce: bool | None) -> None:
        if isinstance(disk, RbdSource) and disk == target:  # a snapshot was taken by the storage
            if quiesce:
                raise VirtError(f"copy a disk of guest {uuid}: its file systems can't be frozen for a snapshot in Ceph")
            return
        if not (isinstance(disk, FileSource) and isinstance(target, FileSource)):
            raise VirtError(f"copy a disk of guest {uuid}: only files are copied")
        run = functools.partial(self._on, uuid)
        await disk_copy.copy_disk(run, disk, target, quiesce=quiesce)

    async def trigger_crash_dump(self, uuid: str) -> None:
        await self._domain("interrupt", uuid, lambda domain: domain.injectNMI())

    async def set_password(self, uuid: str, user: str, password: str) -> None:
        await self._domain("set a password", uuid, lambda domain: domains.set_password(domain, user, password))

    async def diagnostics(self, uuid: str) -> GuestDiagnostics:
        virt_type = self._host().virt_type
        return await self._domain("count what it uses", uuid, lambda domain: diagnostics_of(domain, virt_type))

    async def shutdown(self, uuid: str, *, timeout: float) -> bool:
        until = asyncio.get_running_loop().time() + timeout
        with self._states.notified(uuid, GONE) as off:
            state = await self._domain("shut down", uuid, domains.ask_to_power_off)
            while state == PowerState.RUNNING:  # a paused guest does not react
                left = until - asyncio.get_running_loop().time()
                if (await asyncio.wait([off], timeout=min(left, ASK_AGAIN)))[0]:
                    return True
                if left <= ASK_AGAIN:
                    return False
                with contextlib.suppress(HypervisorUnavailable):  # it may be back before the time is over
                    state = await self._domain("shut down", uuid, domains.ask_to_power_off)
            return state in OFF

    async def reboot(self, uuid: str, *, timeout: float) -> bool:
        if not await self.shutdown(uuid, timeout=timeout):
            return False
        await self.start(uuid)
        return True

    async def destroy(self, uuid: str) -> None:
        with contextlib.suppress(GuestNotFound):
            saved = self._states.of(uuid) == PowerState.SUSPENDED
            if saved and await self._domain("forget the memory", uuid, domains.drop_saved):
                self._states.seen(uuid, PowerState.SHUTDOWN, "destroyed")  # libvirt has no event for it
            await self._act("destroy", uuid, domains.destroy, GONE)

    async def console_log(self, uuid: str, *, max_bytes: int) -> bytes:
        path = await self._domain("find the console log", uuid, consoles.console_log_path)
        if path is None:
            return b""
        try:
            return await self._connection.thread("read the console log", lambda: tail(path, max_bytes))
        except PermissionError:
            raise VirtError(f"console log of guest {uuid}: {path} is readable by root only: run as root") from None

    async def console(self, uuid: str, kind: str) -> ConsoleEndpoint:
        find = consoles.CONSOLES.get(kind)
        if find is None:
            known = ", ".join(consoles.CONSOLES)
            raise VirtError(f"console of guest {uuid}: no console of kind {kind!r} here, only {known}")
        return await self._domain("find the console", uuid, find)

    async def open_console(self, endpoint: ConsoleEndpoint) -> ByteStream:
        return await consoles.open_stream(endpoint, lambda: self.console(endpoint.uuid, endpoint.kind))

    def subscribe(self, listener: Callable[[LifecycleEvent], None]) -> Callable[[], None]:
        return self._states.subscribe(listener)

    # inside

    def _host(self) -> HostFacts:
        if self._facts is None:
            raise HypervisorUnavailable("the libvirt driver was not opened")
        return self._facts

    def _seen(self, uuid: str, state: PowerState, detail: str) -> None:
        if detail == WAITS and uuid in self._states:
            self._waiting.add(uuid)
        self._states.seen(uuid, state, detail)

    async def _go_on(self, uuid: str) -> bool:
        await ensure((await self._domain("list disks", uuid, disks.sources)).values())
        return await self._domain("go on", uuid, domains.go_on)

    async def _prepare(self) -> None:
        if self.options.start_daemons and self.options.uri == LOCAL_URI:
            await ensure_daemons()

    async def _act(
        self, what: str, uuid: str, act: Callable[[Any], None], aims: frozenset[PowerState], *, timeout: float | None = None
    ) -> None:  # fmt: skip
        """Libvirt's event comes after its answer. An operation returns after the listeners got its event: what they get
        from then on is new, and a guest that ends while the connection is lost is known to have run."""
        with self._states.notified(uuid, aims) as notified:
            await self._domain(what, uuid, act, timeout=timeout)
            if self._states.of(uuid) in aims or (await asyncio.wait([notified], timeout=EVENT_TIMEOUT))[0]:
                return
        state = await self._domain("ask for the state", uuid, domains.state_of)
        self._states.seen(uuid, state, f"seen after {what}")

    async def _on(self, uuid: str, what: str, act: Callable[[Any], T]) -> T:
        return await self._domain(what, uuid, act)

    async def _domain(self, what: str, uuid: str, act: Callable[[Any], T], *, timeout: float | None = None) -> T:
        """`act(virDomain)` for one of our guests; raises GuestNotFound for unknown uuids and other people's."""
        what = f"{what}: guest {uuid}"
        if not domains.is_uuid(uuid):
            raise GuestNotFound(f"{what}: not a uuid")

        def call(conn: Any) -> T:
            domain = conn.lookupByUUIDString(uuid)
            if uuid not in self._states:
                if not domains.is_ours(domain, self.options.mark):
                    raise GuestNotFound(f"{what}: the domain of this uuid is not ours")
                self._states.follow(uuid, domains.state_of(domain))  # defined by another process of ours
            return act(domain)

        return await self._connection.run(what, call, timeout=timeout)

    def _define(self, conn: Any, guest: GuestSpec, text: str) -> set[str]:
        """Sockets of disks that the guest had, and has no more."""
        before: set[str] = set()
        try:
            known = conn.lookupByUUIDString(guest.uuid)
            if not domains.is_ours(known, self.options.mark):
                raise VirtError(f"define guest {guest.uuid}: a domain with this uuid exists and is not ours")
            before = set(disks.sources(known).values())
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
        if guest.console_log:
            guest.console_log.parent.mkdir(parents=True, exist_ok=True)
        secrets.keep(conn, guest.disks, self._host())
        domain = conn.defineXML(text)
        return before - set(disks.sources(domain).values()) if before else before

    def _list(self, conn: Any) -> list[GuestInfo]:
        return domains.guests(conn, self.options.mark)

    async def _catch_up(self, conn: Any) -> None:
        """After connecting: report what happened to our guests meanwhile."""
        self._kind = None
        self._states.hold()
        listed = await self._connection.thread("list guests", lambda: self._list(conn))
        for uuid in await self._connection.thread("look at consoles", lambda: consoles.open_consoles(conn, listed)):
            LOG.warning("console socket is open to all local users until the next hard reboot of the guest", uuid=uuid)
        self._states.caught_up({info.uuid: info.power_state for info in listed})
        for uuid in await self._connection.thread("look at disks", lambda: domains.waiting(conn, listed)):
            self._waiting.add(uuid)
