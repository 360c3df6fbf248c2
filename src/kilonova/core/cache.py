"""A small cache with time to live. In memory here; the interface is a coroutine's so that memcached fits it too."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")


class MemoryCache(Generic[T]):
    """At most `size` entries, each for `ttl` seconds."""

    def __init__(self, *, size: int, ttl: float) -> None:
        self._entries: TTLCache[Hashable, T] = TTLCache(maxsize=size, ttl=ttl)

    async def get(self, key: Hashable) -> T | None:
        return self._entries.get(key)

    async def set(self, key: Hashable, value: T) -> None:
        self._entries[key] = value

    async def delete(self, key: Hashable) -> None:
        self._entries.pop(key, None)

    async def clear(self) -> None:
        self._entries.clear()
