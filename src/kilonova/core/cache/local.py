"""The cache of one process: objects, not bytes, and no waiting."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")


class LocalCache(Generic[T]):
    """At most `size` entries, each for `ttl` seconds."""

    def __init__(self, *, size: int, ttl: float) -> None:
        self._entries: TTLCache[Hashable, T] = TTLCache(maxsize=size, ttl=ttl)

    def get(self, key: Hashable) -> T | None:
        return self._entries.get(key)

    def set(self, key: Hashable, value: T) -> None:
        self._entries[key] = value

    def delete(self, key: Hashable) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
