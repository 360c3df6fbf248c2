"""What the compute agent asks of a hypervisor: the driver interface and its typed parts.

A driver is one class with less than twenty methods and an entry in `kilonova.compute.virt.load`. What not every hypervisor can do
is in `capabilities.py`. Every driver passes `tests/unit/virt/conformance.py`.
All methods are coroutines; a driver moves blocking calls to threads itself.
Every mutating method is idempotent: repeating it after a crash is harmless.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from kilonova.compute.virt.block import BlockSource
from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.kinds import kind_of, kinds_of
from kilonova.compute.virt.vif import VifBinding
from kilonova.core.secret import Secret


class PowerState(enum.IntEnum):
    """Numbers as clients see them in `OS-EXT-STS:power_state`."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


STATE_NAMES = {state: state.name.lower() for state in PowerState} | {PowerState.NOSTATE: "pending"}
"""The words for them in answers."""


class GuestDisk(msgspec.Struct, frozen=True, kw_only=True):
    """One block device. `bus` is virtio, scsi, ide or sata."""

    source: BlockSource
    target: str  # vda, vdb, sda …
    bus: str = "virtio"
    device: str = "disk"  # disk | cdrom
    readonly: bool = False
    boot_index: int | None = None
    serial: str | None = None  # of a volume: its id, by which it is attached and detached
    passphrase: Secret | None = None  # of a disk that is encrypted (LUKS)


class GuestInterface(msgspec.Struct, frozen=True, kw_only=True):
    """One network interface, plugged as its port's binding says."""

    mac: str
    vif: VifBinding
    model: str = "virtio"
    mtu: int | None = None


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a driver needs to define a guest. Memory in MiB."""

    uuid: str
    name: str  # libvirt's domain name, "instance-0000002a"
    title: str = ""  # the user's name for the server, any text
    flavor: str = ""  # names for the operator, kept with the definition
    owner: str = ""  # project id
    vcpus: int
    memory_mb: int
    disks: tuple[GuestDisk, ...] = ()
    interfaces: tuple[GuestInterface, ...] = ()
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    console_log: Path | None = None
    machine: str | None = None  # hw_machine_type; None: the driver's choice
    cpu_model: str | None = None
    properties: dict[str, str] = {}  # image's hw_* properties the driver understands: hw_rng_model, hw_video_model …


class GuestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A guest that the hypervisor knows, defined by us or not."""

    uuid: str
    name: str
    power_state: PowerState


class HostCapacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the host has in all, before overcommit. Memory in MiB, disk in GiB."""

    vcpus: int
    memory_mb: int
    disk_gb: int
    hypervisor_type: str  # QEMU, KVM or fake
    hypervisor_version: int  # libvirt's number: 7002000 is 7.2.0
    cpu_arch: str
    cpu_info: dict[str, object] = {}
    supported: tuple[tuple[str, str, str], ...] = ()  # (arch, hv_type, vm_mode), e.g. ("x86_64", "qemu", "hvm")
    firmware: tuple[str, ...] | None = None  # of bios and uefi; None: not known yet


class LifecycleEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something the hypervisor saw happen; `power_state` is the state after it."""

    uuid: str
    power_state: PowerState
    detail: str = ""


class VirtError(Exception):
    """The hypervisor refused or is unreachable; the text names the call and has the hypervisor's message."""


class GuestNotFound(VirtError):
    """No guest with this uuid."""


class HypervisorUnavailable(VirtError):
    """The hypervisor can't be reached; the text says what to start or install."""


class NotServed(VirtError):
    """The guest has a device of a kind that the driver can't give it."""


class VirtDriver(ABC):
    """A hypervisor on one host."""

    name: str
    disks: DiskStore
    block_sources: ClassVar[frozenset[type]]  # kinds of `BlockSource` that guests may have
    vif_types: ClassVar[frozenset[type]]  # kinds of `VifBinding`

    def must_serve(self, guest: GuestSpec) -> None:
        """Raise NotServed for a guest with a device of another kind than the driver declares; `define` begins with this."""
        for disk in guest.disks:
            self.must_hold(guest.uuid, disk)
        for interface in guest.interfaces:
            self.must_plug(guest.uuid, interface)

    def must_hold(self, uuid: str, disk: GuestDisk) -> None:
        """The same for a disk alone."""
        self._must_have(f"disk {disk.target} of guest {uuid}", disk.source, self.block_sources)

    def must_plug(self, uuid: str, interface: GuestInterface) -> None:
        """The same for an interface alone."""
        self._must_have(f"interface {interface.mac} of guest {uuid}", interface.vif, self.vif_types)

    def _must_have(self, device: str, kind: msgspec.Struct, served: frozenset[type]) -> None:
        if type(kind) not in served:
            raise NotServed(
                f"{device}: the {self.name} driver does not serve {kind_of(type(kind))}, only {kinds_of(served)}"
            )

    @abstractmethod
    async def open(self) -> None:
        """Connect and check that guests can run; raises HypervisorUnavailable with advice."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection; guests keep running."""

    @abstractmethod
    async def capacity(self) -> HostCapacity: ...

    @abstractmethod
    async def guests(self) -> list[GuestInfo]:
        """Guests this cloud made (other people's domains are left out and left alone)."""

    @abstractmethod
    async def power_state(self, uuid: str) -> PowerState:
        """NOSTATE for a guest that isn't there."""

    @abstractmethod
    async def define(self, guest: GuestSpec) -> None:
        """Make or replace the persistent definition; the guest stays off. Raises NotServed before anything is made."""

    @abstractmethod
    async def undefine(self, uuid: str) -> None:
        """Forget the definition; nothing happens when there is none."""

    @abstractmethod
    async def start(self, uuid: str, *, paused: bool = False) -> None:
        """Boot a defined guest; nothing happens when it runs. Returns when the hypervisor says it was started."""

    @abstractmethod
    async def pause(self, uuid: str) -> None: ...

    @abstractmethod
    async def resume(self, uuid: str) -> None:
        """Let a paused guest run; nothing happens when it runs."""

    @abstractmethod
    async def shutdown(self, uuid: str, *, timeout: float) -> bool:
        """Ask the guest by ACPI to power off and wait for the event; False when it did not within `timeout` s."""

    @abstractmethod
    async def reboot(self, uuid: str, *, timeout: float) -> bool:
        """Soft reboot: ACPI shutdown, then start of the same definition; False when the guest did not obey."""

    @abstractmethod
    async def destroy(self, uuid: str) -> None:
        """Pull the plug; nothing happens when the guest is off or unknown."""

    @abstractmethod
    def subscribe(self, listener: Callable[[LifecycleEvent], None]) -> Callable[[], None]:
        """`listener` is called on the event loop for each lifecycle event, until the returned function is called. An operation
        returns after the listeners got its event: one that subscribes afterwards does not get it."""
