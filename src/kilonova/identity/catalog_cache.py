"""The catalog in the shared cache: every login needs it, and it rarely changes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kilonova.core.cache import Cache
from kilonova.core.clock import Clock
from kilonova.core.db import Connection
from kilonova.identity.store.catalog import CatalogRow, catalog

EPOCH, ROWS = "identity/catalog-epoch", "identity/catalog"
LIFE = 30.0  # seconds after which other processes see a change that they got no message about
EPOCH_LIFE = 86400.0


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """`epoch` is what stood in the cache before the rows were read: another one by now means that they may have changed."""

    epoch: bytes
    rows: list[CatalogRow]


class CatalogCache:
    """Without a shared cache the database is read each time: other processes would not learn of a change."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache, self._clock = cache if cache.shared else None, clock

    async def rows(self, connection: Connection) -> Sequence[CatalogRow]:
        """Every enabled endpoint with its service, in a stable order."""
        if self._cache is None:
            return await catalog(connection)
        found = await self._cache.get_many([EPOCH, ROWS])
        epoch = found.get(EPOCH)
        if epoch is not None and ROWS in found:
            kept = _decode(found[ROWS])
            if kept is not None and kept.epoch == epoch:
                return kept.rows
        if epoch is None:
            epoch = await self._next_epoch(self._cache)
        rows = await catalog(connection)
        await self._cache.set(ROWS, msgspec.msgpack.encode(_Kept(epoch, rows)), LIFE)
        return rows

    async def changed(self) -> None:
        """After the commit of a change."""
        if self._cache is not None:
            await self._next_epoch(self._cache)

    async def _next_epoch(self, cache: Cache) -> bytes:
        epoch = self._clock.random_bytes(16)
        await cache.set(EPOCH, epoch, EPOCH_LIFE)
        return epoch


def _decode(data: bytes) -> _Kept | None:
    try:
        return msgspec.msgpack.decode(data, type=_Kept)
    except msgspec.DecodeError:  # of another release
        return None
