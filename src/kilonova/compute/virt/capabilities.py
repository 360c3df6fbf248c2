"""What some hypervisors can do and others can't: protocols beside `VirtDriver`, which a driver names among its bases.

Callers ask `isinstance(driver, LogsConsole)`. Each has its tests in `tests/unit/virt/conformance.py`; a driver's test class
inherits those of its capabilities.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from kilonova.compute.diagnostics import GuestDiagnostics
from kilonova.compute.models import Progress
from kilonova.compute.virt.block import BlockSource
from kilonova.compute.virt.driver import GuestDisk, GuestInterface, VirtError
from kilonova.core.web.relay import ByteStream


class ConsoleEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a console is: a unix socket or a terminal of this host that only the hypervisor's user and root reach. `life` is
    another one each time the guest was switched on."""

    uuid: str  # of the guest
    kind: str  # vnc, serial
    path: Path
    life: str


@runtime_checkable
class LogsConsole(Protocol):
    """Keeps what guests write to their serial console."""

    @abstractmethod
    async def console_log(self, uuid: str, *, max_bytes: int) -> bytes:
        """The tail of the serial console's log; raises GuestNotFound."""


@runtime_checkable
class Suspends(Protocol):
    """Keeps the memory of guests that are off. A suspended guest's power state is SUSPENDED; `destroy` and `start` forget its
    memory."""

    @abstractmethod
    async def suspend(self, uuid: str) -> None:
        """Save the memory of a running or paused guest and switch it off; nothing happens when it is suspended. Raises
        GuestNotFound, and VirtError for a guest that is off."""

    @abstractmethod
    async def restore(self, uuid: str, *, paused: bool = False) -> None:
        """Bring a suspended guest back; nothing happens when it runs or is paused. Raises GuestNotFound, and VirtError for a
        guest without saved memory."""


@runtime_checkable
class CopiesDisks(Protocol):
    """Copies a disk while its guest runs."""

    @abstractmethod
    async def copy_disk(self, uuid: str, disk: BlockSource, target: BlockSource, *, quiesce: bool | None) -> None:
        """Make `target` what `disk`, of a guest that runs or is paused, is at one moment. With `quiesce` the guest's agent
        freezes the file systems for that moment, and a guest that can't is an error; None: it is tried; False: it is not. A copy
        that an earlier call left under way is ended first. Raises GuestNotFound, and VirtError for a guest that is off."""


@runtime_checkable
class TriggersCrashDumps(Protocol):
    """Can interrupt guests (NMI) so that their operating system writes a crash dump."""

    @abstractmethod
    async def trigger_crash_dump(self, uuid: str) -> None:
        """Returns when the guest was interrupted; raises GuestNotFound, and VirtError for a guest that is off."""


@runtime_checkable
class PlugsInterfaces(Protocol):
    """Can give guests interfaces, and take them, while they run. What is changed holds for the definition too."""

    @abstractmethod
    async def attach_interface(self, uuid: str, interface: GuestInterface) -> None:
        """Nothing happens when the guest has one with this MAC address. Raises GuestNotFound, and NotServed for a vif of a kind
        that the driver does not have."""

    @abstractmethod
    async def detach_interface(self, uuid: str, mac: str, *, timeout: float) -> bool:
        """Whether the guest is rid of it, at the latest after `timeout` seconds: a running one must let go of it. True when it
        has none with this MAC address. Raises GuestNotFound."""

    @abstractmethod
    async def interfaces(self, uuid: str) -> frozenset[str]:
        """MAC addresses of those that the guest has, or has when it is started; raises GuestNotFound."""


@runtime_checkable
class PlugsDisks(Protocol):
    """Can give guests disks, and take them, while they run. What is changed holds for the definition too. A disk is known by its
    serial, of a volume its id."""

    @abstractmethod
    async def attach_disk(self, uuid: str, disk: GuestDisk) -> str:
        """The name of the device: the disk's `target`, or another one where the guest has a disk of this name or the bus needs
        it. Nothing happens when the guest has a disk with this serial. Raises GuestNotFound, NotServed, and VirtError for a
        disk without a serial."""

    @abstractmethod
    async def detach_disk(self, uuid: str, serial: str, *, timeout: float) -> bool:
        """Whether the guest is rid of it, at the latest after `timeout` seconds: a running one is asked, again and again,
        and must let go of it. True when it has none with this serial. Raises GuestNotFound."""

    @abstractmethod
    async def resize_disk(self, uuid: str, serial: str, size: int) -> None:
        """The guest sees that the disk has `size` bytes, which its source has already; nothing happens when it is off. Raises
        GuestNotFound, and VirtError when it has no such disk or can't be told."""

    @abstractmethod
    async def disks_of(self, uuid: str) -> dict[str, str]:
        """Serial → device name (vdb) of the disks with a serial that the guest has, or has when it is started; raises
        GuestNotFound."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """How a guest is sent. `ways` are the unix sockets here that lead to the new host's of the same names; `differs` are the
    values in which its definition differs there. `copied`: its disks are made on the new host, and filled by this."""

    migration: str
    ways: dict[str, Path]
    differs: dict[str, str]
    copied: bool


@runtime_checkable
class LiveMigrates(Protocol):
    """Sends running guests to other hosts. Nothing is doubled: a guest that was sent does not run at the new host before it is
    resumed there, and is not resumed before the old host has none of it."""

    @abstractmethod
    async def guest_needs(self, uuid: str) -> dict[str, str]:
        """What a host must have for this guest, which runs or is paused, in words of this driver; raises GuestNotFound, and
        VirtError for a guest that is off."""

    @abstractmethod
    async def check_needs(self, needs: dict[str, str]) -> None:
        """Raises VirtError where this host does not have what a guest of another needs."""

    @abstractmethod
    async def receive(self, uuid: str, migration: str) -> tuple[dict[str, Path], dict[str, str]]:
        """Make ready for a guest: (way → unix socket here where the old host's driver is answered, the values in which a
        guest's definition differs here). What an earlier call has left is made anew."""

    @abstractmethod
    async def received(self, uuid: str, migration: str) -> None:
        """What `receive` has made goes, but not the guest; nothing happens when there is nothing."""

    @abstractmethod
    async def ways(self, migration: str) -> dict[str, Path]:
        """The unix sockets that `send` wants to have here, in a folder that is there."""

    @abstractmethod
    async def send(self, uuid: str, sending: Sending) -> None:
        """Send a guest that runs or is paused. Afterwards it is not here any more, and paused at the new host. Raises
        GuestNotFound, or VirtError: then it is here, as it was but for a pause, and not there. A cancelled call gives up."""

    @abstractmethod
    async def land(self, uuid: str) -> None:
        """Let a guest run that is paused here, and may have come from another host; nothing happens when it runs."""

    @abstractmethod
    async def progress(self, uuid: str) -> Progress | None:
        """Of a guest that is being sent; None when it is not."""

    @abstractmethod
    async def hurry(self, uuid: str) -> None:
        """Pause a guest that is being sent, so that nothing of it changes any more; nothing happens when it is not here."""

    @abstractmethod
    async def give_up(self, uuid: str) -> None:
        """End a `send`, also one of an earlier process: returns when it has ended, which may be well."""


class NoGuestAgent(VirtError):
    """The guest has no agent, or none that answers."""


@runtime_checkable
class SetsPasswords(Protocol):
    """Reaches guests' agents."""

    @abstractmethod
    async def set_password(self, uuid: str, user: str, password: str) -> None:
        """Raises GuestNotFound, NoGuestAgent, and VirtError for a guest that is off, or whose agent refuses."""


@runtime_checkable
class Diagnoses(Protocol):
    """Counts what guests use."""

    @abstractmethod
    async def diagnostics(self, uuid: str) -> GuestDiagnostics:
        """Of a guest that runs or is paused; raises GuestNotFound, and VirtError for one that is off."""


@runtime_checkable
class OffersConsoles(Protocol):
    """Guests have consoles that can be used: a graphical one (vnc) and a serial one, which is logged all the same."""

    @abstractmethod
    async def console(self, uuid: str, kind: str) -> ConsoleEndpoint:
        """Where the console of this kind is; raises GuestNotFound, and VirtError for a guest that is off or an unknown kind."""

    @abstractmethod
    async def open_console(self, endpoint: ConsoleEndpoint) -> ByteStream:
        """A connection to it; raises GuestNotFound, and VirtError when that life of the guest is over. It ends with the guest."""
