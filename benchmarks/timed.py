"""`kilonova up` that counts the CPU which recording history takes; for `benchmarks/recording.py` alone.

    python -m benchmarks.timed … up OPTIONS      # arguments before `up` are ignored

SIGUSR1 writes what was counted until then to the file that `KILONOVA_TIMED` names.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import msgspec

from kilonova.cli.main import main
from kilonova.compute.agent.journal import Journal
from kilonova.compute.resources.servers.launch.timeline import Timeline
from kilonova.compute.scheduler.plan import Planner
from kilonova.compute.store import actions, conductor_servers, decisions, steps


class Counted(msgspec.Struct):
    """CPU seconds, in the functions of each part and of the whole process."""

    parts: dict[str, float]
    process: float


PARTS: dict[str, list[tuple[Any, str]]] = {
    "journal": [(Journal, "begin"), (Journal, "end"), (Journal, "steps")],
    "steps": [(Timeline, "records"), (Timeline, "_add"), (steps, "add")],
    "decisions and reasons": [(Planner, "_decision"), (decisions, "add")],
    "server actions": [(actions, "begin"), (conductor_servers, "finish_actions")],
}
SECONDS = dict.fromkeys(PARTS, 0.0)
now = time.thread_time


class Timed:
    """A coroutine whose own CPU is counted, not that of others that run while it waits."""

    def __init__(self, work: Coroutine[Any, Any, Any], part: str) -> None:
        self._work, self._part = work, part

    def __await__(self) -> Generator[Any, Any, Any]:
        given: Any = None
        step: Callable[[Any], Any] = self._work.send
        while True:
            began = now()
            try:
                waiting = step(given)
            except StopIteration as end:
                return end.value
            finally:
                SECONDS[self._part] += now() - began
            try:
                step, given = self._work.send, (yield waiting)
            except BaseException as error:
                step, given = self._work.throw, error


def count(owner: Any, name: str, part: str) -> None:
    work = getattr(owner, name)

    @functools.wraps(work)
    async def waiting(*args: Any, **named: Any) -> Any:
        return await Timed(work(*args, **named), part)

    @functools.wraps(work)
    def at_once(*args: Any, **named: Any) -> Any:
        began = now()
        try:
            return work(*args, **named)
        finally:
            SECONDS[part] += now() - began

    setattr(owner, name, waiting if inspect.iscoroutinefunction(work) else at_once)


def write_counts(*_: Any) -> None:
    file = Path(os.environ["KILONOVA_TIMED"])
    fresh = file.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(Counted(SECONDS, time.process_time())))
    fresh.replace(file)


if __name__ == "__main__":
    for part, functions in PARTS.items():
        for owner, name in functions:
            count(owner, name, part)
    signal.signal(signal.SIGUSR1, write_counts)
    sys.argv = ["kilonova", *sys.argv[sys.argv.index("up") :]]
    main()
