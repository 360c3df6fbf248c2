"""Which drivers there are, by the name an operator writes. A new driver adds one entry, here or as an entry point of the group
`kilonova.virt_drivers` in its own package, and passes the conformance tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import HypervisorUnavailable, VirtDriver
from kilonova.core.ceph.options import CephOptions
from kilonova.core.clock import Clock
from kilonova.core.registry import Registry


class DriverContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver may be made from. `options` are the driver's own, from the table `[driver.NAME]`; None for the defaults."""

    host: str
    state_dir: Path
    options: Any = None
    disks: DiskStore | None = None  # None: the driver's own kind; libvirt needs one
    shared: Any = None  # fake: the FakeHypervisor of all hosts of this process; None: a new one
    clock: Clock | None = None
    guest_user: str = ""  # that guests run as; "": ours
    ceph: CephOptions = CephOptions()  # how this host reaches disks in Ceph


def load(name: str, context: DriverContext) -> VirtDriver:
    """The driver of this name, not yet opened. Raises ConfigError for an unknown name, HypervisorUnavailable for a missing
    package."""
    return DRIVERS[name](context)


def _fake(context: DriverContext) -> VirtDriver:
    from kilonova.compute.virt.fake import FakeDriver, FakeOptions
    from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

    options = context.options or FakeOptions()
    hypervisor = context.shared or FakeHypervisor(options.state, clock=context.clock)
    return FakeDriver(context.host, hypervisor, options, context.disks)


def _libvirt(context: DriverContext) -> VirtDriver:
    try:
        import libvirt  # noqa: F401
    except ImportError as error:
        raise HypervisorUnavailable(
            f"Python can't load libvirt ({error}): apt-get install python3-libvirt libvirt-daemon-system"
        ) from error
    from kilonova.compute.virt.libvirt.driver import LibvirtDriver
    from kilonova.compute.virt.libvirt.options import LibvirtOptions

    if context.disks is None:
        raise HypervisorUnavailable("the libvirt driver needs a disk store")
    options = context.options or LibvirtOptions()
    options = msgspec.structs.replace(
        options, state_dir=context.state_dir, guest_user=context.guest_user, ceph=context.ceph
    )
    return LibvirtDriver(options, context.disks)


DRIVERS: Registry[Callable[[DriverContext], VirtDriver]] = Registry(
    "[agent] driver", "hypervisor driver", "virt_drivers", {"fake": _fake, "libvirt": _libvirt}
)
