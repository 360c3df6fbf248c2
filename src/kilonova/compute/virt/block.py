"""Where a guest's block device has its bytes: one Struct for each kind of source.

A new kind is a Struct here, in the union, and in the table of each driver that serves it (libvirt: `libvirt/devices.py`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class FileSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A file of the host; `format` is raw or qcow2."""

    path: Path
    format: str


BlockSource = FileSource  # of several: FileSource | RbdSource
