"""Crowds: what comes at once is done at once, and nobody suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kilonova.core.together import AT_ONCE, Together, all_ended


class Shop:
    """Doubles numbers; a crowd with a zero in it fails."""

    def __init__(self) -> None:
        self.crowds: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def double(self, items: Sequence[int]) -> Sequence[int]:
        self.crowds.append(list(items))
        await self.open.wait()
        if 0 in items:
            raise ValueError("zero")
        return [item * 2 for item in items]


async def test_what_comes_at_once_is_one_crowd() -> None:
    shop = Shop()
    double = Together(shop.double)
    assert await asyncio.gather(*(double(n) for n in range(1, 51))) == [2 * n for n in range(1, 51)]
    assert shop.crowds == [list(range(1, 51))]
    assert await double(7) == 14
    assert shop.crowds[1:] == [[7]]


async def test_who_comes_meanwhile_is_the_next_crowd() -> None:
    shop = Shop()
    shop.open.clear()
    double = Together(shop.double)
    first = asyncio.ensure_future(double(1))
    while not shop.crowds:
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(double(n)) for n in (2, 3)]
    await asyncio.sleep(0.01)
    shop.open.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert shop.crowds == [[1], [2, 3]]


async def test_nobody_waits_for_long_behind_one_that_is_stuck() -> None:
    shop = Shop()
    shop.open.clear()
    double = Together(shop.double, patience=0.01)
    stuck = asyncio.ensure_future(double(1))
    while not shop.crowds:
        await asyncio.sleep(0)
    closed, shop.open = shop.open, asyncio.Event()
    shop.open.set()
    assert await double(2) == 4
    assert not stuck.done()
    closed.set()
    assert await stuck == 2
    assert shop.crowds == [[1], [2]]


async def test_work_that_may_be_stuck_ends_with_the_last_who_waits_for_it() -> None:
    shop, ended = Shop(), list[str]()
    shop.open.clear()

    async def work(items: Sequence[int]) -> Sequence[int]:
        try:
            return await shop.double(items)
        except asyncio.CancelledError:
            ended.append("cut off")
            raise

    double = Together(work, patience=0.01)
    both = [asyncio.ensure_future(double(n)) for n in (1, 2)]
    for one, expected in zip(both, ([], ["cut off"]), strict=True):
        await asyncio.sleep(0.02)
        one.cancel()
        await asyncio.sleep(0.02)
        assert ended == expected
    shop.open.set()
    assert await double(3) == 6


async def test_one_that_fails_fails_alone() -> None:
    shop = Shop()
    double = Together(shop.double)
    results = await asyncio.gather(*(double(n) for n in (1, 0, 2)), return_exceptions=True)
    assert results[0::2] == [2, 4]
    assert isinstance(results[1], ValueError)
    assert shop.crowds == [[1, 0, 2], [1], [0], [2]]


async def test_who_went_away_holds_up_nobody() -> None:
    shop = Shop()
    double = Together(shop.double)
    gone, here = asyncio.ensure_future(double(1)), asyncio.ensure_future(double(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await here == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await double(3) == 6


async def test_crowds_are_bounded() -> None:
    shop = Shop()
    double = Together(shop.double)
    await asyncio.gather(*(double(n) for n in range(1, AT_ONCE + 2)))
    assert [len(crowd) for crowd in shop.crowds] == [AT_ONCE, 1]


async def test_who_is_refused_is_refused_alone_and_nothing_is_done_again() -> None:
    crowds = []

    async def halve(items: Sequence[int]) -> Sequence[int | BaseException]:
        crowds.append(list(items))
        return [item // 2 if item % 2 == 0 else ValueError(item) for item in items]

    half = Together(halve)
    results = await asyncio.gather(*(half(n) for n in (2, 3, 4)), return_exceptions=True)
    assert results[0::2] == [1, 2]
    assert isinstance(results[1], ValueError)
    assert crowds == [[2, 3, 4]]


async def test_an_error_waits_for_the_others() -> None:
    ended = []

    async def work(number: int) -> int:
        if number == 0:
            raise ValueError("none")
        await asyncio.sleep(0.01)
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="none"):
        await all_ended(map(work, (1, 0, 2)))
    assert ended == [1, 2]
    assert await all_ended(map(work, (3, 4))) == [3, 4]
