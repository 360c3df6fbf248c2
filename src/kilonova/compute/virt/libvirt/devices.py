"""The elements for libvirt of each kind of block source and vif. The driver serves what these tables have."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lxml import etree

from kilonova.compute.virt.block import FileSource, IscsiSource, NbdSource, RbdSource
from kilonova.compute.virt.libvirt.elements import el
from kilonova.compute.virt.libvirt.options import HostFacts
from kilonova.compute.virt.libvirt.taps import check_tap_name
from kilonova.compute.virt.vif import BridgeVif
from kilonova.core.ceph.options import CephOptions

SECRETS = uuid.UUID("8f6c0f52-2a2f-4a0e-9a43-6c1d0c6f7d11")
"""Namespace of the ids of libvirt's secrets."""


class SourceXml(NamedTuple):
    """Of a `<disk>`: its type, its driver's type (the format of the bytes), its `<source>`, and what happens when it fails: with
    `waits` the guest stops until the source is back."""

    type: str
    format: str
    source: etree._Element
    waits: bool = False


def _file(source: FileSource, _host: HostFacts) -> SourceXml:
    return SourceXml("file", source.format, el("source", file=source.path))


def _nbd(source: NbdSource, _host: HostFacts) -> SourceXml:
    host = el("host", transport="unix", socket=source.socket)
    return SourceXml("network", "raw", el("source", host, protocol="nbd", name=source.export), waits=True)


def _rbd(source: RbdSource, host: HostFacts) -> SourceXml:
    """The key is in libvirtd's secret (secrets.py), and goes to the emulator encrypted."""
    auth = el("auth", el("secret", type="ceph", uuid=ceph_secret(host.ceph)), username=host.ceph.user)
    where = el("source", auth, el("config", file=host.ceph.conf), protocol="rbd", name=f"{source.pool}/{source.image}")
    return SourceXml("network", "raw", where)


def _iscsi(source: IscsiSource, _host: HostFacts) -> SourceXml:
    """QEMU is the initiator; the password is in libvirtd's secret."""
    auth = el("auth", el("secret", type="iscsi", uuid=chap_secret(source)), username=source.user)
    host = el("host", name=source.host, port=source.port)
    where = el("source", host, auth, protocol="iscsi", name=f"{source.target}/{source.unit}")
    return SourceXml("network", "raw", where, waits=True)


def chap_secret(source: IscsiSource) -> str:
    """The id of libvirt's secret for the password: the same each time."""
    return str(uuid.uuid5(SECRETS, f"chap {source.user}"))


def ceph_secret(ceph: CephOptions) -> str:
    """The id of libvirt's secret for the Ceph user's key: the same each time."""
    return str(uuid.uuid5(SECRETS, f"{ceph.conf} {ceph.user}"))


class VifXml(NamedTuple):
    """Of an `<interface>`: its type, and the elements that say where it is plugged."""

    type: str
    plug: tuple[etree._Element, ...]


def _bridge(vif: BridgeVif) -> VifXml:
    check_tap_name(vif.tap_name)
    return VifXml("bridge", (el("source", bridge=vif.bridge_name), el("target", dev=vif.tap_name)))


SOURCES: Mapping[type, Callable[[Any, HostFacts], SourceXml]] = {
    FileSource: _file, NbdSource: _nbd, RbdSource: _rbd, IscsiSource: _iscsi,
}  # fmt: skip
VIFS: Mapping[type, Callable[[Any], VifXml]] = {BridgeVif: _bridge}
