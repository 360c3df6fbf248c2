"""Why a back end could not do what it was asked. The texts are for operators and users: they name the volume and the reason."""

from __future__ import annotations


class BackendError(Exception):
    """The back end failed: the text names the operation, the volume or snapshot, and the reason."""


class NoSpace(BackendError):
    """No room left where the volumes are."""


class VolumeMissing(BackendError):
    """There is no volume of this id."""


class SnapshotMissing(BackendError):
    """There is no snapshot of this id."""


class VolumeBusy(BackendError):
    """The volume, or the snapshot, is in use: it is attached, or another one needs it."""


class ImageRefused(BackendError):
    """The image's bytes are not what its record says, are unsafe, or do not fit into the volume."""


class BackendAway(BackendError):
    """What the back end needs can't be reached or is not installed: another call may succeed later. The text says what to do."""


class NotSupported(BackendError):
    """This back end can't do that."""
