"""A server's volumes on its host: connected by the conductor, which alone speaks to the volume service, and given to the guest as
disks."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from kilonova.compute.agent.reasons import Explained
from kilonova.compute.device_names import ROOT, bare
from kilonova.compute.models import ConnectedVolume
from kilonova.compute.virt.connections import source_of
from kilonova.compute.virt.driver import GuestDisk
from kilonova.core import log
from kilonova.core.retry import Backoff, retry

if TYPE_CHECKING:
    from kilonova.compute.agent.runner import Host, Operation

logger = log.get("agent")
MADE = Backoff(0.2, 3.0)
"""Between two looks at a volume that is being made; the step's deadline ends them."""


class NotThereYet(Exception):
    """A volume is being made."""


async def connected(operation: Operation) -> list[ConnectedVolume]:
    """The server's volumes, connected to this host; asked for once. Without any the conductor is not asked."""
    if operation.volumes is None:
        operation.volumes = await connect(operation) if operation.build.spec.volumes else []
    return operation.volumes


async def connect(operation: Operation, device: str | None = None) -> list[ConnectedVolume]:
    """The same for one device, or all; waits for volumes that are being made."""
    host = operation.host

    async def ask() -> list[ConnectedVolume]:
        found = await host.ask_conductor(
            lambda: host.conductor.connect_volumes(operation.ctx, host.name, operation.uuid, connector(host), device),
            server=operation.uuid,
        )
        if found is None:
            raise NotThereYet
        return found

    return await retry(
        ask, MADE, again=lambda error: isinstance(error, NotThereYet), clock=host.clock, log=logger, level="debug",
        work="wait for volumes", server=operation.uuid, host=host.name,
    )  # fmt: skip


async def disconnect(operation: Operation, device: str | None = None, *, forget: bool = False) -> None:
    """The volumes are this host's no more; with `forget` not the server's either."""
    host = operation.host
    if operation.build.spec.volumes or device is not None:
        await host.ask_conductor(
            lambda: host.conductor.disconnect_volumes(operation.ctx, host.name, operation.uuid, device, forget),
            server=operation.uuid,
        )


async def renamed(operation: Operation, volume: ConnectedVolume, name: str) -> None:
    """The guest's name of the disk is another one than the row's."""
    host = operation.host
    if name and name != volume.name:
        await host.ask_conductor(
            lambda: host.conductor.name_volume(operation.ctx, host.name, operation.uuid, volume.device, name),
            server=operation.uuid,
        )


def connector(host: Host) -> dict[str, str]:
    """What the volume service must know of this host, as Cinder calls it."""
    return {
        "host": host.name, "ip": host.options.host_ip, "os_type": "linux", "platform": platform.machine(),
        "initiator": f"iqn.2026-01.io.kilonova:{host.name}",
    }  # fmt: skip


def volume_disk(volume: ConnectedVolume, bus: str) -> GuestDisk:
    """As the guest gets it; `bus` is that of the image, where the request names none. Raises Explained for a connection of a kind
    that no driver knows."""
    source = source_of(volume.connection)
    if source is None:
        kind = volume.connection.get("driver_volume_type", "unknown")
        raise Explained(f"volume {volume.volume_id} is reached in a way that hosts do not know: {kind}")
    boots = volume.boot_index is not None and volume.boot_index >= 0
    return GuestDisk(
        source=source, target=ROOT if volume.boot_index == 0 else bare(volume.name), bus=volume.bus or bus,
        device=volume.device_type or "disk", readonly=volume.connection["data"].get("access_mode") == "ro",
        boot_index=(volume.boot_index or 0) + 1 if boots else None, serial=volume.volume_id,
    )  # fmt: skip
