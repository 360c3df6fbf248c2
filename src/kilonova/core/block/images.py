"""Images as the image service describes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec

Fetch = Callable[[], AsyncIterator[bytes]]
"""Opens a fresh download of an image's bytes."""


class ImageSource(msgspec.Struct, frozen=True, kw_only=True):
    """An image as the image service describes it. Sizes: `size` bytes, `min_disk` GiB."""

    id: str
    disk_format: str  # raw, qcow2, ami, aki, ari, iso …
    container_format: str
    size: int
    hash_algo: str | None  # sha512
    hash_value: str | None
    min_disk: int = 0
