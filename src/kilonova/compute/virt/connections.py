"""From what the volume service says of a connection to the source of a guest's disk: one function for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kilonova.compute.virt.block import BlockSource, FileSource


def _file(data: Mapping[str, Any]) -> BlockSource:
    return FileSource(path=Path(data["device_path"]), format=str(data.get("format", "raw")))


KINDS: dict[str, Callable[[Mapping[str, Any]], BlockSource]] = {"file": _file}


def source_of(connection: Mapping[str, Any]) -> BlockSource | None:
    """None for a kind that is not known here; raises KeyError where `data` lacks something."""
    make = KINDS.get(str(connection.get("driver_volume_type")))
    return make(connection["data"]) if make is not None else None
