"""Batches: concurrent calls are one batch or one run, and an error reaches its own caller alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kilonova.core.batching import BATCH_SIZE, Batched, Coalesced, gather_all
from tests.eventually import until


class Shop:
    """Doubles numbers; a batch with a zero in it fails."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        await self.open.wait()
        if 0 in items:
            raise ValueError("zero")
        return [item * 2 for item in items]


async def test_concurrent_calls_are_one_batch() -> None:
    shop = Shop()
    double = Batched(shop.double)
    assert await asyncio.gather(*(double(n) for n in range(1, 51))) == [2 * n for n in range(1, 51)]
    assert shop.batches == [list(range(1, 51))]
    assert await double(7) == 14
    assert shop.batches[1:] == [[7]]


async def test_calls_during_a_batch_are_the_next_batch() -> None:
    shop = Shop()
    shop.open.clear()
    double = Batched(shop.double)
    first = asyncio.ensure_future(double(1))
    await until(lambda: shop.batches, pause=0)
    others = [asyncio.ensure_future(double(n)) for n in (2, 3)]
    await asyncio.sleep(0.01)
    shop.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert shop.batches == [[1], [2, 3]]


async def test_the_next_batch_starts_although_an_item_is_stuck() -> None:
    shop = Shop()
    shop.open.clear()
    double = Batched(shop.double, stuck_after=0.01)
    stuck = asyncio.ensure_future(double(1))
    await until(lambda: shop.batches, pause=0)
    closed, shop.open = shop.open, asyncio.Event()
    shop.open.set()
    assert await double(2) == 4
    assert not stuck.done()
    closed.set()
    assert await stuck == 2
    assert shop.batches == [[1], [2]]


async def test_stuck_work_is_cancelled_with_its_last_caller() -> None:
    shop, ended = Shop(), list[str]()
    shop.open.clear()

    async def work(items: Sequence[int]) -> Sequence[int]:
        try:
            return await shop.double(items)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    double = Batched(work, stuck_after=0.01)
    both = [asyncio.ensure_future(double(n)) for n in (1, 2)]
    for one, expected in zip(both, ([], ["cancelled"]), strict=True):
        await asyncio.sleep(0.02)
        one.cancel()
        await asyncio.sleep(0.02)
        assert ended == expected
    shop.open.set()
    assert await double(3) == 6


async def test_an_error_reaches_its_own_caller_alone() -> None:
    shop = Shop()
    double = Batched(shop.double)
    results = await asyncio.gather(*(double(n) for n in (1, 0, 2)), return_exceptions=True)
    assert results[0::2] == [2, 4]
    assert isinstance(results[1], ValueError)
    assert shop.batches == [[1, 0, 2], [1], [0], [2]]


async def test_a_cancelled_caller_does_not_delay_the_others() -> None:
    shop = Shop()
    double = Batched(shop.double)
    gone, here = asyncio.ensure_future(double(1)), asyncio.ensure_future(double(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await here == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await double(3) == 6


async def test_batches_have_a_largest_size() -> None:
    shop = Shop()
    double = Batched(shop.double)
    await asyncio.gather(*(double(n) for n in range(1, BATCH_SIZE + 2)))
    assert [len(batch) for batch in shop.batches] == [BATCH_SIZE, 1]


async def test_a_result_that_is_an_exception_is_raised_for_its_item_and_nothing_is_repeated() -> None:
    batches = []

    async def halve(items: Sequence[int]) -> Sequence[int | BaseException]:
        batches.append(list(items))
        return [item // 2 if item % 2 == 0 else ValueError(item) for item in items]

    half = Batched(halve)
    results = await asyncio.gather(*(half(n) for n in (2, 3, 4)), return_exceptions=True)
    assert results[0::2] == [1, 2]
    assert isinstance(results[1], ValueError)
    assert batches == [[2, 3, 4]]


async def test_gather_all_raises_after_all_have_ended() -> None:
    ended = []

    async def work(number: int) -> int:
        if number == 0:
            raise ValueError("none")
        await asyncio.sleep(0.01)
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="none"):
        await gather_all(map(work, (1, 0, 2)))
    assert ended == [1, 2]
    assert await gather_all(map(work, (3, 4))) == [3, 4]


class Reader:
    """Counts its runs; each waits until `open` is set. Odd runs fail when `failing`."""

    def __init__(self, *, failing: bool = False) -> None:
        self.runs, self.ended, self.failing = 0, 0, failing
        self.open = asyncio.Event()

    async def read(self) -> int:
        self.runs += 1
        run = self.runs
        await self.open.wait()
        self.ended += 1
        if self.failing and run % 2:
            raise ValueError(run)
        return run


async def test_callers_share_a_run_that_began_after_they_called() -> None:
    reader = Reader()
    read = Coalesced(reader.read)
    first = [asyncio.ensure_future(read()) for _ in range(3)]
    await until(lambda: reader.runs, pause=0)
    later = [asyncio.ensure_future(read()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert reader.runs == 1
    reader.open.set()
    assert await asyncio.gather(*first, *later) == [1, 1, 1, 2, 2, 2]
    assert await read() == 3


async def test_a_failed_run_raises_for_its_callers_and_the_next_one_works() -> None:
    reader = Reader(failing=True)
    reader.open.set()
    read = Coalesced(reader.read)
    for result in await asyncio.gather(read(), read(), return_exceptions=True):
        assert isinstance(result, ValueError)
    assert await read() == 2


async def test_a_cancelled_caller_leaves_the_run_to_the_others() -> None:
    reader = Reader()
    read = Coalesced(reader.read)
    gone, here = asyncio.ensure_future(read()), asyncio.ensure_future(read())
    await until(lambda: reader.runs, pause=0)
    gone.cancel()
    reader.open.set()
    assert await here == 1
    assert gone.cancelled()


async def test_stop_cancels_the_run_and_the_next_one() -> None:
    reader = Reader()
    read = Coalesced(reader.read)
    running = asyncio.ensure_future(read())
    await until(lambda: reader.runs, pause=0)
    waiting = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    await read.stop()
    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert (reader.runs, reader.ended) == (1, 0)
