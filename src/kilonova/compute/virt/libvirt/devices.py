"""What libvirt is told of each kind of block source and vif. The driver serves what these tables have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lxml import etree

from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.libvirt.elements import el


class SourceXml(NamedTuple):
    """Of a `<disk>`: its type, its driver's type (the format of the bytes), and its `<source>`."""

    type: str
    format: str
    source: etree._Element


def _file(source: FileSource) -> SourceXml:
    return SourceXml("file", source.format, el("source", file=source.path))


SOURCES: Mapping[type, Callable[[Any], SourceXml]] = {FileSource: _file}
