"""Refusals that concern a server's volumes, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class VolumeAttachmentNotFound(NotFound):
    template = "Instance {server_id} is not attached to volume {volume_id}"


class VolumeNotFound(NotFound):
    template = "Volume {volume_id} could not be found."


class DeviceNameInUse(Conflict):
    template = "The supplied device path ({path}) is in use."


class RootVolume(BadRequest):
    template = "Cannot detach a root device volume"


class TaggedWhileShelved(BadRequest):
    template = "Tagged volume attachment is not supported for shelved-offloaded instances."


class MultiattachWhileShelved(BadRequest):
    template = "Attaching multiattach volumes is not supported for shelved-offloaded instances."


class NotMigrating(Conflict):
    template = "volume {volume_id} is not migrating; this API should only be called by Cinder"


class NotMutable(BadRequest):
    template = "The {name} property is not mutable"
