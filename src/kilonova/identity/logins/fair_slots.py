"""A bounded number of slots, shared fairly: a flood from one source or user does not delay the others."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kilonova.identity import errors

Line = deque[asyncio.Future[None]]
RETRY_AFTER = 1  # seconds
USERS_OF_A_SOURCE = 4  # how many full queues a source may have


class FairSlots:
    """At most `slots` holders at once. A request waits in the queue of its user, and users are grouped by source (the client's
    address): a free slot goes to the next source, there to the next user, there to the first in its queue. A queue holds at
    most `longest` requests."""

    def __init__(self, slots: int, longest: int) -> None:
        self._free, self._longest = slots, longest
        self._lines: OrderedDict[str, OrderedDict[str, Line]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def slot(self, source: str, user: str) -> AsyncIterator[None]:
        """Raises TooManyLogins when the queue is full."""
        await self._wait(source, user)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, source: str, user: str) -> None:
        if self._free:  # then nothing waits
            self._free -= 1
            return
        line = self._lines.get(source, OrderedDict()).get(user, deque())
        if len(line) >= self._longest or self._waiting[source] >= self._longest * USERS_OF_A_SOURCE:
            raise errors.TooManyLogins(headers={"Retry-After": str(RETRY_AFTER)})
        place = asyncio.get_running_loop().create_future()
        self._lines.setdefault(source, OrderedDict()).setdefault(user, deque()).append(place)
        self._waiting[source] += 1
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it had got its slot already
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the slot to the next request that still waits; cancelled ones stay in the queue until they are reached."""
        while self._lines:
            source, users = self._lines.popitem(last=False)
            user, line = users.popitem(last=False)
            place = line.popleft()
            self._waiting[source] -= 1
            if line:
                users[user] = line
            if users:
                self._lines[source] = users
            else:
                del self._waiting[source]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
