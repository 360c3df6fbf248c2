"""The elements for libvirt of each kind of block source and vif. The driver serves what these tables have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lxml import etree

from kilonova.compute.virt.block import FileSource, NbdSource
from kilonova.compute.virt.libvirt.elements import el
from kilonova.compute.virt.libvirt.taps import check_tap_name
from kilonova.compute.virt.vif import BridgeVif


class SourceXml(NamedTuple):
    """Of a `<disk>`: its type, its driver's type (the format of the bytes), its `<source>`, and what happens when it fails: with
    `waits` the guest stops until the source is back."""

    type: str
    format: str
    source: etree._Element
    waits: bool = False


def _file(source: FileSource) -> SourceXml:
    return SourceXml("file", source.format, el("source", file=source.path))


def _nbd(source: NbdSource) -> SourceXml:
    host = el("host", transport="unix", socket=source.socket)
    return SourceXml("network", "raw", el("source", host, protocol="nbd", name=source.export), waits=True)


class VifXml(NamedTuple):
    """Of an `<interface>`: its type, and the elements that say where it is plugged."""

    type: str
    plug: tuple[etree._Element, ...]


def _bridge(vif: BridgeVif) -> VifXml:
    check_tap_name(vif.tap_name)
    return VifXml("bridge", (el("source", bridge=vif.bridge_name), el("target", dev=vif.tap_name)))


SOURCES: Mapping[type, Callable[[Any], SourceXml]] = {FileSource: _file, NbdSource: _nbd}
VIFS: Mapping[type, Callable[[Any], VifXml]] = {BridgeVif: _bridge}
