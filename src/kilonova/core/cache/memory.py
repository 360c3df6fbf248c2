"""The cache of a cloud that is one process."""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import TLRUCache

from kilonova.core.cache.base import Cache
from kilonova.core.clock import Clock

Entry = tuple[bytes, float]


class MemoryCache(Cache):
    """`memory://`: at most `size` entries, the least recently used go first."""

    def __init__(self, clock: Clock | None = None, *, size: int = 20_000) -> None:
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            size, ttu=lambda _name, entry, now: now + entry[1], timer=(clock or Clock()).monotonic
        )

    async def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        found = {name: self._entries.get(name) for name in names}
        return {name: entry[0] for name, entry in found.items() if entry is not None}

    async def set(self, name: str, value: bytes, ttl: float) -> None:
        self._entries[name] = (value, ttl)

    async def delete(self, name: str) -> None:
        self._entries.pop(name, None)
