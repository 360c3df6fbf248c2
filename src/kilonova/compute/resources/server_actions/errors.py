"""Refusals that concern server actions, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class ServerLocked(Conflict):
    template = "Instance {server_id} is locked"


class NotReady(Conflict):
    template = "Instance {server_id} is not ready"


class HostUnreachable(Conflict):
    template = "Unable to contact the host of instance {server_id}"


class HostInUse(BadRequest):
    template = "Compute service of {host} is still in use."


class TargetNotFound(NotFound):
    template = "Compute host {host} not found."


class SameHost(BadRequest):
    template = "The target host can't be the same one."


class ForceWithoutHost(BadRequest):
    template = "Can't force to a non-provided destination"


class PasswordOnSharedDisk(BadRequest):
    template = "admin password can't be changed on existing disk"


class SameFlavor(BadRequest):
    template = "When resizing, instances must change flavor!"


class DiskNotResizable(BadRequest):
    template = "Server disk was unable to be resized because: {reason}"


class UnknownTarget(BadRequest):
    template = "Compute host {host} could not be found."


class SameHostMigration(BadRequest):
    template = "Cannot migrate to the host where the server exists."


class SameHostLive(BadRequest):
    template = "Unable to migrate instance ({server_id}) to current host ({host})."


class HostUnavailable(BadRequest):
    template = "Compute service of {host} is unavailable at this time."


class PreCheckFailed(BadRequest):
    template = "Migration pre-check error: {reason}"


class NothingToConfirm(BadRequest):
    template = "Instance has not been resized."


class UnsupportedRescueImage(BadRequest):
    template = "Requested rescue image '{image}' is not supported"


class PlaceWhileOnHost(Conflict):
    template = (
        'Specifying an availability zone or a host when unshelving server "{server_id}" with status "{status}" is not supported. '
        "The server status must be SHELVED_OFFLOADED."
    )


class ZoneNotAvailable(BadRequest):
    template = "The requested availability zone is not available"


class UnknownHost(BadRequest):
    template = "Compute host {host} could not be found."


class HostNotInZone(Conflict):
    template = 'Host "{host}" is not in the availability zone "{zone}".'


class ShelvedImageMissing(Conflict):
    template = "Image {image}, which has the disk of the shelved server, could not be found."


class NoSuchAction(BadRequest):
    template = "There is no such action: {action}"


class VolumeBackedRescue(BadRequest):
    template = "Instance {server_id} cannot be rescued: Cannot rescue a volume-backed instance"


class VolumeBackedBackup(BadRequest):
    template = "Backup is not supported for volume-backed instances."
