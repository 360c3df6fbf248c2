"""Several workers on one port: one that dies is started again, all of them drain, none outlives its supervisor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.testing.engines import free_port
from tests.eventually import eventually
from tests.process.cluster.scene import Scene
from tests.process.serve.processes import Served, children, health, is_ready

WORKERS = 3


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def placement(scene: Scene, tmp_path: Path, port: int) -> Iterator[Served]:
    """One more placement service of the scene's cloud, by several workers that all serve."""
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    with Served(tmp_path / "log", *words, "--workers", str(WORKERS), "--state", str(tmp_path / "state")) as process:
        eventually(lambda: process.words().count("serving ") == WORKERS, process.words)
        yield process


def test_a_worker_that_dies_is_started_again(placement: Served, port: int) -> None:
    before = children(placement.popen.pid)
    assert len(before) == WORKERS
    os.kill(before[0], signal.SIGKILL)
    after = eventually(
        lambda: len(now := children(placement.popen.pid)) == WORKERS and now != before and now, "no new one"
    )
    assert set(before[1:]) < set(after)
    eventually(lambda: placement.words().count("serving ") == WORKERS + 1, placement.words)
    assert is_ready(port)
    assert placement.terminate() == 0
    assert health(port)[0] == 0


def test_the_whole_group_may_be_asked_to_end(placement: Served, port: int) -> None:
    """As `docker stop` and Ctrl-C do: the workers get it twice."""
    pids = children(placement.popen.pid)
    os.killpg(placement.popen.pid, signal.SIGTERM)
    assert placement.ended() == 0
    assert "second stop request" not in placement.words()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_a_late_supervisor_signals_no_worker_twice(scene: Scene, tmp_path: Path, port: int) -> None:
    """The supervisor is paused while the signal reaches it and its workers."""
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    state, env = ("--workers", "2", "--state", str(tmp_path / "state")), {"KILONOVA_SERVE_DRAIN_NOTICE": "2"}
    with Served(tmp_path / "log", *words, *state, env=env) as process:
        eventually(lambda: process.words().count("serving ") == 2, process.words)
        os.kill(process.popen.pid, signal.SIGSTOP)
        os.killpg(process.popen.pid, signal.SIGTERM)
        eventually(lambda: process.words().count("draining") == 2, process.words)
        time.sleep(1)
        os.kill(process.popen.pid, signal.SIGCONT)
        assert process.ended() == 0
        assert "second stop request" not in process.words()


def test_a_supervisor_that_comes_too_late_has_nothing_to_ask(placement: Served) -> None:
    """Its workers got the signal with it, and have ended before it could signal them."""
    pids = children(placement.popen.pid)
    os.kill(placement.popen.pid, signal.SIGSTOP)
    os.killpg(placement.popen.pid, signal.SIGTERM)
    eventually(lambda: all(Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z" for pid in pids), placement.words)
    os.kill(placement.popen.pid, signal.SIGCONT)
    assert placement.ended() == 0
    assert "restarting it" not in placement.words()


def test_workers_that_come_late_are_asked_once(placement: Served) -> None:
    """They get the signal to their group and their supervisor's at the same moment."""
    pids = children(placement.popen.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    os.killpg(placement.popen.pid, signal.SIGTERM)
    time.sleep(0.5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert placement.ended() == 0
    words = placement.words()
    assert words.count("draining") == WORKERS
    assert re.findall(r"stopped +component=(\w+)", words) == ["placement"] * WORKERS + ["serve"]
    assert "second stop request" not in words


def test_a_worker_that_is_asked_before_it_can_drain_drains_then() -> None:
    code = """
import asyncio, os, signal, socket, time
from kilonova.shutdown import DRAIN, OUTSIDE, on_signal
from kilonova.supervisor import Supervisor

def work(number):
    os.kill(os.getpid(), signal.SIGTERM)  # nothing listens yet
    async def live():
        asked = asyncio.Event()
        on_signal({*OUTSIDE, DRAIN}, asked.set)
        await asked.wait()
        print("drained", flush=True)
        os.kill(os.getppid(), signal.SIGTERM)
    asyncio.run(live())
    return 0

raise SystemExit(Supervisor(1, socket.socket(), work).run())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, "drained" in run.stdout.splitlines()) == (0, True), run.stderr


def test_many_that_cannot_start_ask_the_others_once() -> None:
    code = """
import asyncio, os, socket
from kilonova.shutdown import DRAIN, on_signal
from kilonova.supervisor import CANNOT_START, Supervisor

def work(number):
    if number < 3:
        return CANNOT_START
    async def live():
        on_signal({DRAIN}, lambda: print("asked", flush=True))
        await asyncio.sleep(1)
    asyncio.run(live())
    return 0

raise SystemExit(Supervisor(4, socket.socket(), work).run())
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.splitlines().count("asked")) == (2, 1), run.stderr


def test_a_signal_is_handled_once_while_another_one_comes() -> None:
    """With a delay where uvloop has read one signal and not yet looked at the other."""
    code = """
import asyncio, os, signal, time, uvloop
from collections import Counter
from kilonova.shutdown import on_signal

uvloop._noop.noop = lambda: time.sleep(0.05)
handled = Counter()

async def main():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        on_signal([number], lambda number=number: handled.update([number.name]))
    if (child := os.fork()) == 0:
        time.sleep(0.2)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            os.kill(os.getppid(), number)
            time.sleep(0.01)
        os._exit(0)
    while len(handled) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    os.waitpid(child, 0)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
print(sorted(handled.items()))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout == "[('SIGTERM', 1), ('SIGUSR1', 1)]\n", run.stderr


def test_a_second_signal_to_the_group_ends_it_at_once(scene: Scene, tmp_path: Path, port: int) -> None:
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    state, env = ("--workers", "2", "--state", str(tmp_path / "state")), {"KILONOVA_SERVE_DRAIN_NOTICE": "600"}
    with Served(tmp_path / "log", *words, *state, env=env) as process:
        eventually(lambda: process.words().count("serving ") == 2, process.words)
        os.killpg(process.popen.pid, signal.SIGTERM)
        eventually(lambda: process.words().count("draining") == 2, process.words)
        process.says(
            "stop requested"
        )  # the supervisor takes both signals as one, if the second comes before it has read the first
        os.killpg(process.popen.pid, signal.SIGTERM)
        assert process.ended() == 128 + signal.SIGTERM
        assert process.words().count("second stop request") == 1


def test_workers_go_with_their_supervisor(placement: Served, port: int) -> None:
    """Or they would keep the port, and the next supervisor could not start."""
    placement.popen.kill()
    placement.ended()
    eventually(lambda: health(port)[0] == 0, "a process still answers")


def test_workers_that_cannot_start_end_their_supervisor(scene: Scene, tmp_path: Path, port: int) -> None:
    blank = {"KILONOVA_DATABASE_PLACEMENT": f"sqlite:///{tmp_path}/blank.sqlite"}
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    with Served(tmp_path / "log", *words, "--workers", "2", "--state", str(tmp_path / "state"), env=blank) as process:
        assert process.ended() == 2
        assert "run `kilonova db upgrade`" in process.words()
