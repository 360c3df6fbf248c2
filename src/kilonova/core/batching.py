"""Work that many callers ask for at the same time is done once for all of them.

    ended = Batched(self._all_ended)           # async (items) -> results in their order
    result = await ended(item)                 # fifty builds that end at once are one transaction

    read = Coalesced(self._read)               # async () -> result
    result = await read()                      # ten callers during one run share the next run

Neither waits for more callers: what is asked for in the same round of the event loop, or while an earlier batch is being worked
on, is the next batch.

Related code that stays separate: the outbox (order per receiver, retries), heartbeats (written after a fixed interval),
`ComputeEvents` (retries until an age limit) and `Health` (answers remembered for a while).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
BATCH_SIZE = 200
STUCK_AFTER = 0.5  # seconds, for work in which one item may block
Waiting = list[tuple[T, "asyncio.Future[R]"]]


class Batched(Generic[T, R]):
    """`work` gets 1 to `BATCH_SIZE` items and returns as many results, or raises for all of them. It does all or nothing. A
    result that is an exception is raised for its item. A batch whose work raises is repeated item by item, so that no caller
    fails because of another's item. With `stuck_after`, the next batch starts at the latest after so many seconds, and work
    whose callers were all cancelled is cancelled."""

    def __init__(
        self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]], *, stuck_after: float | None = None
    ) -> None:
        self._work, self._stuck_after = work, stuck_after
        self._waiting: Waiting[T, R] = []
        self._worker: asyncio.Task[None] | None = None
        self._busy: set[asyncio.Task[None]] = set()

    async def __call__(self, item: T) -> R:
        """Its result. A caller that is cancelled no longer waits; the work may be done all the same."""
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work_off())
        return await done

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(0)  # callers that this round of the loop wakes join the batch
                batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
                batch = [(item, done) for item, done in batch if not done.cancelled()]
                task = asyncio.ensure_future(self._do(batch))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
                if self._stuck_after is not None:
                    for _, done in batch:
                        done.add_done_callback(partial(_cancel_unwanted, task, batch))
                await asyncio.wait([task], timeout=self._stuck_after)
        finally:
            self._worker = None

    async def _do(self, batch: Waiting[T, R]) -> None:
        if not batch:
            return
        try:
            results = await self._work([item for item, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    await self._do([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, done), result in zip(batch, results, strict=True):
            if done.done():
                continue
            if isinstance(result, BaseException):
                done.set_exception(result)
            else:
                done.set_result(result)


def _cancel_unwanted(task: asyncio.Task[None], batch: Waiting[T, R], _cancelled: asyncio.Future[R]) -> None:
    if all(done.cancelled() for _, done in batch):
        task.cancel()


class Coalesced(Generic[R]):
    """Work without arguments. Callers during one run share the next one; a run that fails raises for all its callers."""

    def __init__(self, work: Callable[[], Awaitable[R]]) -> None:
        self._work = work
        self._running: asyncio.Task[R] | None = None
        self._next: asyncio.Task[R] | None = None

    async def __call__(self) -> R:
        """The result of a run that began after this call. A caller that is cancelled does not cancel the run."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._run(self._running))
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _run(self, running: asyncio.Task[R] | None) -> R:
        if running is not None:
            await asyncio.wait([running])
        await asyncio.sleep(0)  # callers that this round of the loop wakes join the run
        self._running, self._next = self._next, None
        return await self._work()

    async def stop(self) -> None:
        """Cancel the run in progress and the next one."""
        tasks = [task for task in (self._running, self._next) if task is not None]
        self._running = self._next = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def gather_all(works: Iterable[Awaitable[T]]) -> list[T]:
    """All results in their order, or the first error once all have ended: none is left running behind it, whose effect would
    come late."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
