"""What makes this machine a compute host, from the settings: hypervisor drivers and data planes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import VirtDriver
from kilonova.compute.virt.load import DriverContext
from kilonova.compute.virt.load import load as load_driver
from kilonova.core.clock import Clock
from kilonova.core.config import ConfigError
from kilonova.core.folders import searchable
from kilonova.core.registry import Registry
from kilonova.network.agent.dataplane import DataPlane
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.agent.registry import check_names
from kilonova.settings import Settings
from kilonova.tls import verify_context
from kilonova.volume.backends.driver import VolumeDriver
from kilonova.volume.backends.options import RbdBackendOptions
from kilonova.volume.backends.registry import BackendContext
from kilonova.volume.backends.registry import load as load_backend

if TYPE_CHECKING:
    from kilonova.network.agent.options import DataPlaneOptions

T = TypeVar("T", bound=msgspec.Struct)
DEFAULT_BACKEND = "local"
"""Of machines with real guests, where none is named."""


def options_of(kind: type[T], section: msgspec.Struct, **given: Any) -> T:
    """Options whose fields have the same names in a section of the settings, except those `given`."""
    names = set(kind.__struct_fields__) - given.keys()
    return kind(**given, **{name: getattr(section, name) for name in names})


def hosts_of(settings: Settings) -> list[str]:
    """The names of this process's hosts: one, or as many as asked for where they are fake."""
    if settings.agent.driver == "fake" and settings.cloud.fake_hosts > 1:
        return [f"{settings.host}-{n}" for n in range(1, settings.cloud.fake_hosts + 1)]
    return [settings.host]


def drivers_of(settings: Settings, clock: Clock, *, fake_file: str = "fake-hypervisor.jsonl") -> dict[str, VirtDriver]:
    """The hypervisor drivers of this process by host name; fake guests are kept in `fake_file` of the state directory."""
    name, state_dir = settings.agent.driver, settings.state_dir
    options: Any = getattr(settings.driver, name, None)
    shared: Any = None
    disks: DiskStore | None = None
    if name == "fake":
        from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

        shared = FakeHypervisor(state_dir / fake_file, clock=clock)
    else:
        disks = disks_of(settings)
    return {
        host: load_driver(
            name,
            DriverContext(
                host=host,
                state_dir=state_dir,
                options=options,
                disks=disks,
                shared=shared,
                clock=clock,
                guest_user=settings.disks.owner,
                ceph=settings.ceph,
            ),
        )
        for host in hosts_of(settings)
    }


def backends_of(settings: Settings, clock: Clock) -> dict[str, VolumeDriver]:
    """The back ends for volumes of this machine, by name. Raises ConfigError for an unknown driver."""
    chosen = settings.volume_agent
    single = chosen.driver or ("fake" if settings.agent.driver == "fake" else DEFAULT_BACKEND)
    named: dict[str, Any] = dict(chosen.backends) or {single: None}
    found = {}
    for name, options in named.items():
        driver = single if options is None else options.__struct_config__.tag
        if options is None and driver == "rbd":
            options = RbdBackendOptions(**msgspec.structs.asdict(settings.ceph))
        context = BackendContext(
            name=name, host=settings.host, state_dir=settings.state_dir, options=options, clock=clock,
            address=settings.agent.host_ip, guest_user=settings.disks.owner,
        )  # fmt: skip
        found[name] = load_backend(driver, context)
    return found


def disks_of(settings: Settings) -> DiskStore:
    """Where guests' disks are kept."""
    from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
    from kilonova.compute.virt.rbd_disks import RbdDisks

    options = options_of(FileDisksOptions, settings.disks, state_dir=settings.state_dir)
    return RbdDisks(options, settings.ceph) if settings.disks.store == "rbd" else FileDisks(options)


def data_plane_of(settings: Settings, metadata_url: str, metadata_secret: str) -> DataPlane:
    """The data plane that goes with the hypervisor driver, unless the settings name another. Guests' metadata comes from
    `metadata_url`. Raises ConfigError for an unknown name."""
    check_names(settings.dataplane)
    return PLANES[plane_name(settings)](settings, metadata_url, metadata_secret)


def plane_name(settings: Settings) -> str:
    return settings.dataplane.driver or ("noop" if settings.agent.driver == "fake" else "bridge")


def _noop(settings: Settings, _metadata_url: str, _metadata_secret: str) -> DataPlane:
    return NoopDataPlane(settings.dataplane.tunnel_ip, settings.dataplane.bridge_mappings)


def _bridge(settings: Settings, metadata_url: str, metadata_secret: str) -> DataPlane:
    from kilonova.network.agent.metadata.proxy import MetadataUpstream
    from kilonova.network.agent.registry import compose

    options = bridge_options(settings)
    searchable(settings.state_dir)  # on the way to dnsmasq's files
    client = httpx.AsyncClient(trust_env=False, verify=verify_context(settings))
    return compose(options, MetadataUpstream(client=client, base_url=metadata_url, secret=metadata_secret))


def bridge_options(settings: Settings) -> DataPlaneOptions:
    """Raises ConfigError."""
    from kilonova.network.agent.options import DataPlaneOptions

    try:
        return options_of(DataPlaneOptions, settings.dataplane, state_dir=str(settings.state_dir / "network"))
    except ValueError as error:
        raise ConfigError(f"[dataplane]: {error}") from None


PLANES: Registry[Callable[[Settings, str, str], DataPlane]] = Registry(
    "[dataplane] driver", "data plane", "data_planes", {"bridge": _bridge, "noop": _noop}
)
"""Data planes by the name an operator writes, each made from the settings, the metadata service's URL and its secret."""


def journal_path(state_dir: Path, host: str | None = None) -> Path:
    """The compute agents' journal: one file a process; `host` names it where several may share the directory."""
    return state_dir / "journal" / (f"compute-{host}.jsonl" if host else "compute.jsonl")
