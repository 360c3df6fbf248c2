"""Programs beside the event loop, on both kinds of loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from kilonova.core import subprocesses
from kilonova.core.subprocesses import Program
from tests.eventually import PATIENCE

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def go(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(work, PATIENCE))

    return go


async def outputs(program: Program) -> tuple[bytes, bytes, int]:
    out, err = await asyncio.gather(program.stdout.read(), program.stderr.read())
    return out, err, await program.wait()


async def shell(script: str, **options: Any) -> Program:
    return await subprocesses.start(["/bin/sh", "-c", script], **options)


def test_its_outputs_and_its_end(run: Run) -> None:
    async def work() -> None:
        program = await shell("head -c 200000 /dev/zero; echo bad >&2; exit 3")
        assert await outputs(program) == (bytes(200000), b"bad\n", 3)
        assert program.returncode == 3
        program.terminate()  # it has ended already
        assert await program.wait() == 3

    run(work())


def test_what_it_is_given(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        given = os.memfd_create("input")
        try:
            os.write(given, b"words")
            os.lseek(given, 0, os.SEEK_SET)
            program = await shell("cat; pwd; echo $GIVEN $HOME", stdin=given, cwd=tmp_path, env={"GIVEN": "1"})
        finally:
            os.close(given)
        assert await outputs(program) == (f"words{tmp_path}\n1\n".encode(), b"", 0)

    run(work())


def test_it_is_ended_from_outside_and_all_waiting_tasks_see_it(run: Run) -> None:
    async def work() -> None:
        program = await shell("exec sleep 60", new_session=True)
        assert os.getsid(program.pid) == program.pid
        assert program.returncode is None
        waiting = [asyncio.ensure_future(program.wait()) for _ in range(2)]
        await asyncio.sleep(0)
        program.kill()
        assert await asyncio.gather(*waiting) == [-signal.SIGKILL] * 2

    run(work())


def test_a_cancelled_wait_leaves_it_running(run: Run) -> None:
    async def work() -> None:
        program = await shell("exec sleep 60")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(program.wait(), 0.05)
        assert program.returncode is None
        program.terminate()
        assert await program.wait() == -signal.SIGTERM

    run(work())


def test_many_at_once(run: Run) -> None:
    async def work() -> None:
        started = await asyncio.gather(*(shell(f"echo {n}; exit {n}") for n in range(20)))
        ended = await asyncio.gather(*(outputs(program) for program in started))
        assert ended == [(f"{n}\n".encode(), b"", n) for n in range(20)]

    run(work())


def test_a_program_that_is_not_there(run: Run) -> None:
    with pytest.raises(FileNotFoundError):
        run(subprocesses.start(["/no/such/program"]))


def test_no_other_threads_files_are_closed(run: Run) -> None:
    """A descriptor that is closed twice may be that of another file by then."""
    ended, failures = threading.Event(), list[OSError]()

    def use_files() -> None:
        while not ended.is_set():
            try:
                os.listdir("/proc/self/task")
                with open("/proc/self/status") as file:
                    file.read(1)
            except OSError as error:
                failures.append(error)

    async def work() -> None:
        for _ in range(40):
            several = await asyncio.gather(*(subprocesses.start(["true"]) for _ in range(10)))
            assert await asyncio.gather(*map(outputs, several)) == [(b"", b"", 0)] * 10

    threads = [threading.Thread(target=use_files, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        run(work())
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert failures == []
