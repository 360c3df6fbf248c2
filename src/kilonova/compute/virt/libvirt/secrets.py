"""Passphrases of encrypted disks, in libvirtd's memory alone, and the key of the host's Ceph user, which is in a file of the host
anyway: libvirtd hands them to QEMU encrypted, and shows them to no client.

Short functions that block, for the connection's threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.virt.block import IscsiSource, RbdSource
from kilonova.compute.virt.driver import GuestDisk, VirtError
from kilonova.compute.virt.libvirt.devices import ceph_secret, chap_secret
from kilonova.compute.virt.libvirt.domain_xml import secret_uuid
from kilonova.compute.virt.libvirt.elements import el
from kilonova.compute.virt.libvirt.options import HostFacts
from kilonova.core.ceph import CephOptions, NoKey, key_of

OWN = ("encryption/secret", "auth/secret[@type='iscsi']")
"""Where a disk's own secrets are in its source."""


def keep(conn: Any, disks: Iterable[GuestDisk], host: HostFacts) -> None:
    disks = tuple(disks)
    if any(isinstance(disk.source, RbdSource) for disk in disks):
        try:
            _keep_ceph_key(conn, host.ceph)
        except NoKey as error:
            raise VirtError(str(error)) from error
    for disk in disks:
        if isinstance(disk.source, IscsiSource):
            _keep_chap_password(conn, disk.source)
        if disk.passphrase is not None:
            if not disk.serial:
                raise VirtError(f"disk {disk.target} has a passphrase, but no serial to keep it by")
            made = el(
                "secret", el("uuid", secret_uuid(disk.serial)), el("description", f"disk {disk.serial}"),
                ephemeral="yes", private="yes",
            )  # fmt: skip
            secret = conn.secretDefineXML(etree.tostring(made, encoding="unicode"))
            secret.setValue(disk.passphrase.reveal)


def prepare(conn: Any, ceph: CephOptions) -> None:
    """For a guest that comes from another host with its definition."""
    with contextlib.suppress(NoKey):  # of a host without Ceph, where such a guest can't run
        _keep_ceph_key(conn, ceph)


def _keep_chap_password(conn: Any, source: IscsiSource) -> None:
    usage = el("usage", el("target", f"{source.target} {source.user}"), type="iscsi")
    made = el("secret", el("uuid", chap_secret(source)), usage, ephemeral="yes", private="yes")
    conn.secretDefineXML(etree.tostring(made, encoding="unicode")).setValue(source.password.reveal)


def _keep_ceph_key(conn: Any, ceph: CephOptions) -> None:
    key = key_of(ceph)
    usage = el("usage", el("name", f"client.{ceph.user} of {ceph.conf}"), type="ceph")
    made = el("secret", el("uuid", ceph_secret(ceph)), usage, ephemeral="no", private="yes")
    conn.secretDefineXML(etree.tostring(made, encoding="unicode")).setValue(key.reveal)


def used(domain: Any, serial: str | None = None) -> set[str]:
    """Ids of the secrets of its disks alone, or of one of them: not the Ceph key, which all have."""
    found = set()
    for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
        for disk in etree.fromstring(domain.XMLDesc(flags).encode()).iterfind("devices/disk"):
            if serial in (None, disk.findtext("serial")):
                found |= {node.get("uuid", "") for kind in OWN for node in disk.iterfind(f"source/{kind}")}
    return found


def forget(conn: Any, ids: Iterable[str]) -> None:
    for secret_id in ids:
        with contextlib.suppress(libvirt.libvirtError):  # it may be gone, with the libvirtd that had it
            conn.secretLookupByUUIDString(secret_id).undefine()
