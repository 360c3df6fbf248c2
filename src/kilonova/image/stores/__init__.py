"""Stores of image data: one class a back end, found here by the name that the option `store` uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kilonova.core.ceph import CephOptions
from kilonova.core.config import ConfigError
from kilonova.image.stores.base import ImageStore
from kilonova.image.stores.file import FileStore
from kilonova.image.stores.rbd import RbdStore

STORES: Mapping[str, Callable[[Path, CephOptions], ImageStore]] = {
    FileStore.name: lambda folder, _ceph: FileStore(folder),
    RbdStore.name: lambda _folder, ceph: RbdStore(ceph),
}


def make_store(name: str, folder: Path, ceph: CephOptions | None = None) -> ImageStore:
    """Nothing is connected yet. Raises ConfigError for a store that does not exist."""
    if name not in STORES:
        raise ConfigError(f"[image] store: unknown name {name}; known are {', '.join(sorted(STORES))}")
    return STORES[name](folder, ceph or CephOptions())
