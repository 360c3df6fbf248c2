"""From what the volume service says of a connection to the source of a guest's disk: one function for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kilonova.compute.virt.block import (
    BlockSource,
    FakeSource,
    FileSource,
    IscsiSource,
    NbdSource,
    NbdTlsSource,
    RbdSource,
)
from kilonova.core.secret import Secret


def _file(data: Mapping[str, Any]) -> BlockSource:
    return FileSource(path=Path(data["device_path"]), format=str(data.get("format", "raw")))


def _nbd(data: Mapping[str, Any]) -> BlockSource:
    """At a socket of this host, or by TLS at another one."""
    if "socket" in data:
        return NbdSource(export=data["export"], socket=Path(data["socket"]))
    return NbdTlsSource(
        export=data["export"], host=data["host"], port=int(data["port"]), user=data["user"],
        psk=Secret(data["psk"].encode()),
    )  # fmt: skip


def _iscsi(data: Mapping[str, Any]) -> BlockSource:
    host, _, port = str(data["target_portal"]).rpartition(":")
    return IscsiSource(
        host=host, port=int(port), target=data["target_iqn"], unit=int(data["target_lun"]), user=data["auth_username"],
        password=Secret(data["auth_password"].encode()),
    )  # fmt: skip


def _fake(data: Mapping[str, Any]) -> BlockSource:
    return FakeSource(volume_id=data["volume_id"])


def _rbd(data: Mapping[str, Any]) -> BlockSource:
    pool, _, image = str(data["name"]).partition("/")
    return RbdSource(pool=pool, image=image)


KINDS: dict[str, Callable[[Mapping[str, Any]], BlockSource]] = {
    "file": _file, "nbd": _nbd, "rbd": _rbd, "iscsi": _iscsi, "fake": _fake,
}  # fmt: skip


def source_of(connection: Mapping[str, Any]) -> BlockSource | None:
    """None for a kind that is not known here; raises KeyError where `data` lacks something."""
    make = KINDS.get(str(connection.get("driver_volume_type")))
    return make(connection["data"]) if make is not None else None
