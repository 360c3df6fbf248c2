"""Settings of the volume agent of a machine."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.core.config import derived, doc
from kilonova.volume.backends.options import BackendOptions


class VolumeAgentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of the volume agent. Each back end is a table `[volume_agent.backends.NAME]` with its `driver` and that driver's
    options."""

    backends: Annotated[
        dict[str, BackendOptions], doc("Back ends of this machine, by name; none: one with the driver below.")
    ] = msgspec.field(default_factory=dict)
    driver: Annotated[
        str,
        doc('Driver of the one back end where none is named; "": fake with the fake hypervisor driver, else local.'),
    ] = ""
    availability_zone: Annotated[str, derived("volume.availability_zone")] = "nova"
    backup_folder: Annotated[
        str,
        doc(
            'Folder of backups, perhaps shared by all machines with back ends; "": volume-backups in the state directory.'
        ),
    ] = ""
    heartbeat: Annotated[float, doc("Seconds between two heartbeats.", gt=0)] = 10.0
    stop_grace: Annotated[float, doc("Seconds in which a stopping agent finishes its work.", ge=0)] = 10.0
    at_once: Annotated[int, doc("Copies of images that run at once.", ge=1)] = 4
