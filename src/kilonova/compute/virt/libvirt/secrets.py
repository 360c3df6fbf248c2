"""Passphrases of encrypted disks, in libvirtd's memory alone: it hands them to QEMU encrypted, and shows them to no client.

Short functions that block, for the connection's threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import libvirt
from lxml import etree

from kilonova.compute.virt.driver import GuestDisk
from kilonova.compute.virt.libvirt.domain_xml import secret_uuid
from kilonova.compute.virt.libvirt.elements import el


def keep(conn: Any, disks: Iterable[GuestDisk]) -> None:
    for disk in disks:
        if disk.passphrase is not None:
            made = el(
                "secret", el("uuid", secret_uuid(disk)), el("description", f"disk {disk.serial}"),
                ephemeral="yes", private="yes",
            )  # fmt: skip
            secret = conn.secretDefineXML(etree.tostring(made, encoding="unicode"))
            secret.setValue(disk.passphrase.reveal)


def used(domain: Any) -> set[str]:
    """Ids of the secrets of its disks."""
    definition = etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).encode())
    return {node.get("uuid", "") for node in definition.iterfind("devices/disk/source/encryption/secret")}


def forget(conn: Any, ids: Iterable[str]) -> None:
    for secret_id in ids:
        with contextlib.suppress(libvirt.libvirtError):  # it may be gone, with the libvirtd that had it
            conn.secretLookupByUUIDString(secret_id).undefine()
