"""Stores of image data: one class a back end, found here by the name that the option `store` uses."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.config import ConfigError
from kilonova.image.stores.base import ImageStore
from kilonova.image.stores.file import FileStore

STORES: dict[str, type[ImageStore]] = {"file": FileStore}


def make_store(name: str, folder: Path) -> ImageStore:
    """Raises ConfigError for a store that does not exist."""
    if name not in STORES:
        raise ConfigError(f"[image] store: unknown name {name}; known are {', '.join(sorted(STORES))}")
    return STORES[name](folder)
