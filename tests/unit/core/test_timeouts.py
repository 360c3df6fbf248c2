"""Time limits that do not count pauses of this process itself."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from kilonova.core.timeouts import within
from tests.eventually import PATIENCE

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def test_what_the_work_gives_or_raises() -> None:
    async def fail() -> None:
        raise ValueError("its own")

    assert await within(20, asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="its own"):
        await within(20, fail())


@pytest.mark.parametrize("cut_off", [False, True], ids=["too late", "cut off"])
async def test_work_without_a_waiter_ends(cut_off: bool) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    waiting = asyncio.ensure_future(within(3600 if cut_off else 0.02, work()))
    if cut_off:
        await asyncio.sleep(0.01)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError if cut_off else TimeoutError):
        await waiting
    await asyncio.wait_for(ended.wait(), PATIENCE)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_our_own_pause_does_not_count(run: Run) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reading = asyncio.ensure_future(within(0.2, asyncio.get_running_loop().sock_recv(ours, 10)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        theirs.send(b"here")
        time.sleep(0.5)
        assert await reading == b"here"
        ours.close()
        theirs.close()

    run(main())
