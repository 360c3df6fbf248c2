"""Why something could not be done with a disk or an image."""

from __future__ import annotations


class DiskError(Exception):
    """A disk operation failed; the text names the step, the image or server and the reason."""


class DiskFull(DiskError):
    """No room left on the host."""


class ImageRefused(DiskError):
    """The image's bytes are not what its record claims, or are unsafe: wrong checksum, format, backing file."""
