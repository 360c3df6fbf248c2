"""Where image data lies: one class a back end, found here by the name that the option `store` uses."""

from __future__ import annotations

from pathlib import Path

from kilonova.image.stores.base import ImageStore
from kilonova.image.stores.file import FileStore

STORES: dict[str, type[ImageStore]] = {"file": FileStore}


def make_store(name: str, folder: Path) -> ImageStore:
    """Raises ValueError for a store that does not exist."""
    if name not in STORES:
        raise ValueError(f"image store {name!r} is unknown; known are {', '.join(sorted(STORES))}")
    return STORES[name](folder)
