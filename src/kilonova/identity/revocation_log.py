"""The revocations of identity that a process with a token cache knows, and whether it knows them all.

It learns of them in three ways, each for when those before it fail: by an event on the bus; by the epoch in the shared cache,
which changes with every revocation; and by asking identity at least every `lease` seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from kilonova.core import errors
from kilonova.core.cache import Cache, LocalCache
from kilonova.core.clock import Clock
from kilonova.identity.interface import REVOCATION_EPOCH, RevocationList, Revoked

EPOCH_LIFE = 86400.0
ASK_AGAIN = 1.0  # seconds, after identity did not answer
Ask = Callable[[int], Awaitable[RevocationList]]


class RevocationLog:
    """`ask(N)` gives identity's events after generation N. `keep`: seconds for which a name is kept after its event, longer than
    any cached token that the event could revoke."""

    def __init__(self, ask: Ask, cache: Cache | None, clock: Clock, *, lease: float, keep: float, size: int) -> None:
        self.generation = 0  # all events up to this one are known
        self.lease = lease
        self._ask, self._cache, self._clock, self._size = ask, cache, clock, size
        self._named: LocalCache[int] = LocalCache(size=size, ttl=keep)
        self._named_since = 0  # everything older than this generation is void, whatever its user
        self._behind = True  # there are events that we have not got
        self._epoch: bytes | None = None
        self._good_until = self._ask_again = float("-inf")
        self._catching_up = asyncio.Lock()

    def receive(self, event: Revoked) -> None:
        """An event from the bus."""
        if event.generation <= self.generation:
            return
        if event.generation == self.generation + 1:
            self.generation = event.generation
        else:
            self._behind = True
        self._apply(event)

    def voids(self, generation: int, names: Iterable[str | None]) -> bool:
        """Whether what identity said at this generation of a token with these audit ids, user and project is no longer so."""
        if generation < self._named_since:
            return True
        return any((self._named.get(name) or 0) > generation for name in names if name is not None)

    async def settle(self, epoch: bytes | None) -> bool:
        """Know all events that were published before this call; `epoch` is the shared cache's, read after the call's cause. False
        when one of them can't be read: then no cached token may be used."""
        if self._is_current(epoch):
            return True
        async with self._catching_up:
            if self._is_current(epoch):
                return True
            if self._clock.monotonic() < self._ask_again:
                return False
            lost = epoch is None
            if lost and self._cache is not None and self._cache.reachable(REVOCATION_EPOCH):
                # set before we ask, so that a revocation after our question changes it
                epoch = self._clock.random_bytes(16)
                await self._cache.set(REVOCATION_EPOCH, epoch, EPOCH_LIFE)
            return await self._catch_up(epoch, lost)

    def _is_current(self, epoch: bytes | None) -> bool:
        if self._behind or self._clock.monotonic() >= self._good_until:
            return False
        if self._cache is None or epoch == self._epoch:
            return True
        return epoch is None and not self._cache.reachable(REVOCATION_EPOCH)

    async def _catch_up(self, epoch: bytes | None, lost: bool) -> bool:
        began, after, missing = self._clock.monotonic(), self.generation, self._behind
        known = not missing and (lost or epoch == self._epoch)  # of no revocation that we have not got
        self._behind = False  # unless the bus says so while we ask
        try:
            missed = await self._ask(after)
        except errors.KilonovaError:
            self._behind = self._behind or missing
            if known:
                self._epoch, self._good_until = epoch, began + ASK_AGAIN
            else:
                self._ask_again = self._clock.monotonic() + ASK_AGAIN
            return known
        if missed.since > after:
            self._named_since = max(self._named_since, missed.since)  # those in between are not kept any more
        if missed.generation < after:
            self._named_since = after + 1  # another database than before: nothing can be compared
        for event in missed.events:
            self._apply(event)
        self.generation = max(self.generation, missed.generation)
        self._epoch, self._good_until = epoch, began + self.lease
        return True

    def _apply(self, event: Revoked) -> None:
        if event.everything:
            self._named_since = max(self._named_since, event.generation)
        for name in (*event.audit_ids, *event.user_ids, *event.project_ids):
            self._named.set(name, max(event.generation, self._named.get(name) or 0))
        if len(self._named) >= self._size:  # the next ones would push out others
            self._named_since = max(self._named_since, event.generation)
            self._named.clear()
