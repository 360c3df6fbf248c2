"""Settings of the volume service: its API, its conductor, its agents."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.core.config import derived, doc


class VolumeQuotas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a project may have, by upstream's names; -1 is no limit."""

    volumes: Annotated[int, doc("Volumes.", ge=-1)] = 10
    snapshots: Annotated[int, doc("Snapshots.", ge=-1)] = 10
    gigabytes: Annotated[int, doc("GiB of volumes and snapshots together.", ge=-1)] = 1000
    per_volume_gigabytes: Annotated[int, doc("GiB of one volume; -1: any size.", ge=-1)] = -1
    backups: Annotated[int, doc("Backups.", ge=-1)] = 10
    backup_gigabytes: Annotated[int, doc("GiB of backups.", ge=-1)] = 1000
    groups: Annotated[int, doc("Groups of volumes.", ge=-1)] = 10


class VolumeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of the volume API."""

    default_volume_type: Annotated[str, doc("Type of volumes whose request names none; made at the first start.")] = (
        "__DEFAULT__"
    )
    availability_zone: Annotated[str, doc("Zone of volumes whose request names none.")] = "nova"
    limit_max: Annotated[int, doc("Most entries of a list that one request gets.", ge=1)] = 1000
    backend_down_time: Annotated[float, doc("Seconds after which a silent volume service is down.", gt=0)] = 60.0
    message_ttl: Annotated[float, doc("Seconds for which a message to users is kept at least.", gt=0)] = 2592000.0
    quotas: Annotated[VolumeQuotas, doc("Default limits of a project.")] = msgspec.field(default_factory=VolumeQuotas)


class VolumeConductorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Of the volume conductor."""

    backend_down_time: Annotated[float, derived("volume.backend_down_time")] = 60.0
    message_ttl: Annotated[float, derived("volume.message_ttl")] = 2592000.0
    availability_zone: Annotated[str, derived("volume.availability_zone")] = "nova"
    startup_grace: Annotated[float, doc("Seconds after a start in which silent agents count as up.", ge=0)] = 60.0
    watch_interval: Annotated[float, doc("Seconds between two looks at unfinished tasks.", gt=0)] = 10.0
    resend_after: Annotated[
        float, doc("Seconds after which a task that a running agent has not ended is sent to it again.", gt=0)
    ] = 300.0
    heartbeat: Annotated[float, doc("Seconds between two heartbeats of the conductor.", gt=0)] = 10.0
    attempts: Annotated[int, doc("Back ends that are tried for a new volume.", ge=1)] = 3
    max_over_subscription_ratio: Annotated[
        float, doc("How many times its size a thin pool may promise; a ratio that a pool reports replaces it.", ge=1)
    ] = 20.0
    reserved_percentage: Annotated[int, doc("Percent of a pool that stay free.", ge=0, le=100)] = 0
