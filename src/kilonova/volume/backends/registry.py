"""Which back ends there are, by the name an operator writes. A new one adds one entry, here or as an entry point of the group
`kilonova.volume_backends` in its own package, and passes the conformance tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kilonova.core.clock import SYSTEM, Clock
from kilonova.core.folders import runtime_folder
from kilonova.core.registry import Registry
from kilonova.volume.backends.driver import VolumeDriver


class BackendContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a back end may be made from. `name` is the operator's for it, `state_dir` the cloud's; it may use `folder` alone,
    and makes it when needed. `options` are its own, one of `BackendOptions`; None for the defaults."""

    name: str
    host: str
    state_dir: Path
    options: Any = None
    address: str = ""  # the host's IP address, as other hosts reach it
    guest_user: str = ""  # that guests of this host run as; "": ours
    clock: Clock = SYSTEM

    @property
    def folder(self) -> Path:
        return self.state_dir / "volumes" / self.name

    @property
    def runtime(self) -> Path:
        """For sockets: gone when the host is restarted."""
        return runtime_folder(self.state_dir) / "volumes" / self.name


def load(driver: str, context: BackendContext) -> VolumeDriver:
    """The back end of this kind, not yet started. Raises ConfigError for an unknown name."""
    return BACKENDS[driver](context)


def _fake(context: BackendContext) -> VolumeDriver:
    from kilonova.volume.backends.fake import FakeBackend

    return FakeBackend(context)


def _local(context: BackendContext) -> VolumeDriver:
    from kilonova.volume.backends.local.backend import LocalBackend

    return LocalBackend(context)


def _iscsi(context: BackendContext) -> VolumeDriver:
    from kilonova.volume.backends.iscsi.backend import IscsiBackend

    return IscsiBackend(context)


def _rbd(context: BackendContext) -> VolumeDriver:
    from kilonova.volume.backends.rbd import RbdBackend

    return RbdBackend(context)


BACKENDS: Registry[Callable[[BackendContext], VolumeDriver]] = Registry(
    "[volume] driver of a back end",
    "volume back end",
    "volume_backends",
    {"fake": _fake, "local": _local, "iscsi": _iscsi, "rbd": _rbd},
)
