"""Where a guest's block device has its bytes: one Struct for each kind of source.

A new kind is a Struct here, in the union, and in the table of each driver that serves it (libvirt: `libvirt/devices.py`).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from kilonova.core.secret import Secret


class FileSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A file of the host; `format` is raw or qcow2."""

    path: Path
    format: str


class NbdSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="nbd"):
    """An export of an NBD server of this host (`core/block/storage_daemon.py`), at its unix socket."""

    export: str
    socket: Path


class NbdTlsSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="nbd_tls"):
    """An export of another host's NBD server, by TLS with a pre-shared key (hex)."""

    export: str
    host: str
    port: int
    user: str
    psk: Secret


class RbdSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="rbd"):
    """A block image of Ceph; the host knows cluster, user and key."""

    pool: str
    image: str


class IscsiSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="iscsi"):
    """A unit of an iSCSI target, with CHAP."""

    host: str
    port: int
    target: str
    unit: int
    user: str
    password: Secret


class FakeSource(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="fake"):
    """A volume without data, of the fake back end."""

    volume_id: str


BlockSource = FileSource | NbdSource | NbdTlsSource | RbdSource | IscsiSource | FakeSource
