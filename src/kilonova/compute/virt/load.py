"""Which drivers there are, by the name an operator writes. A new driver adds one entry and passes the conformance
tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import HypervisorUnavailable, VirtDriver
from kilonova.core.clock import Clock

T = TypeVar("T")


class DriverContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver may be made from. `options` is the driver's own table as the operator wrote it."""

    host: str
    state_dir: Path
    options: Mapping[str, Any] = {}
    disks: DiskStore | None = None  # None: the driver's own kind; libvirt needs one
    shared: Any = None  # fake: the FakeHypervisor of all hosts of this process; None: a new one
    clock: Clock | None = None


def load(name: str, context: DriverContext) -> VirtDriver:
    """The driver of this name, not yet opened. Raises HypervisorUnavailable for an unknown name, bad options or a
    missing package."""
    factory = DRIVERS.get(name)
    if factory is None:
        raise HypervisorUnavailable(f"there is no hypervisor driver {name!r}; there are: {', '.join(DRIVERS)}")
    try:
        return factory(context)
    except (msgspec.ValidationError, ValueError) as error:
        raise HypervisorUnavailable(f"options of the hypervisor driver {name!r}: {error}") from error


def _fake(context: DriverContext) -> VirtDriver:
    from kilonova.compute.virt.fake import FakeDriver, FakeOptions
    from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

    options = _options(FakeOptions, context.options)
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
    options = _options(LibvirtOptions, {"state_dir": str(context.state_dir), **context.options})
    return LibvirtDriver(options, context.disks)


def _options(kind: type[T], table: Mapping[str, Any]) -> T:
    return msgspec.convert(dict(table), kind, strict=False, dec_hook=_decode_path)


def _decode_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


DRIVERS: dict[str, Callable[[DriverContext], VirtDriver]] = {"fake": _fake, "libvirt": _libvirt}
