"""Work that comes in crowds is done together: fifty builds that end at once are one transaction, not fifty.

    ended = Together(self._all_ended)          # async (items) -> results in their order
    result = await ended(item)

Nothing waits for company: what comes while the event loop is at its round, or while an earlier crowd is being served, is the
next crowd. A crowd whose work fails is served one by one, so that nobody fails for another's reason. With `patience`, for
work in which somebody may be stuck, the next crowd waits no longer than so many seconds, and work for which nobody waits any
more is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 200
PATIENCE = 0.5  # seconds, for work in which somebody may be stuck
Waiting = list[tuple[T, "asyncio.Future[R]"]]


class Together(Generic[T, R]):
    """`work` gets 1 to `AT_ONCE` items and returns as many results, or raises for all of them. It does all or nothing. A result
    that is an exception is raised for its item."""

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]], *, patience: float | None = None
    ) -> None:
        self._work, self._patience = work, patience
        self._waiting: Waiting[T, R] = []
        self._server: asyncio.Task[None] | None = None
        self._busy: set[asyncio.Task[None]] = set()

    async def __call__(self, item: T) -> R:
        """Its result. Who is cancelled here no longer waits; the work may be done all the same."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._server is None:
            self._server = asyncio.ensure_future(self._serve())
        return await done

    async def _serve(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # those that this round of the loop wakes come along
                crowd, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                crowd = [(item, done) for item, done in crowd if not done.cancelled()]
                served = asyncio.ensure_future(self._do(crowd))
                self._busy.add(served)
                served.add_done_callback(self._busy.discard)
                if self._patience is not None:
                    for _, done in crowd:
                        done.add_done_callback(partial(_cut_off, served, crowd))
                await asyncio.wait([served], timeout=self._patience)
        finally:
            self._server = None

    async def _do(self, crowd: Waiting[T, R]) -> None:
        if not crowd:
            return
        try:
            results = await self._work([item for item, _ in crowd])
        except Exception as error:
            if len(crowd) > 1:
                for one in crowd:
                    await self._do([one])
            elif not crowd[0][1].done():
                crowd[0][1].set_exception(error)
            return
        for (_, done), result in zip(crowd, results, strict=True):
            if done.done():
                continue
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)


def _cut_off(work: asyncio.Task[None], crowd: Waiting[T, R], _left: asyncio.Future[R]) -> None:
    if all(done.cancelled() for _, done in crowd):
        work.cancel()


async def all_ended(works: Iterable[Awaitable[T]]) -> list[T]:
    """All results in their order, or the first error once all have ended: none is left running behind it, whose effect would
    come late."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
