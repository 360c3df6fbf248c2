"""Several workers on one port: one that dies is started again, all of them drain, none outlives its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.supervisor import Supervisor
from kilonova.testing.engines import free_port
from tests.cluster.scene import Scene, eventually
from tests.serve.processes import Served, children, health, is_ready

WORKERS = 3


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def placement(scene: Scene, tmp_path: Path, port: int) -> Iterator[Served]:
    """One more placement service of the scene's cloud, by several workers that all serve."""
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    with Served(tmp_path / "log", *words, "--workers", str(WORKERS), "--state", str(tmp_path / "state")) as process:
        eventually(lambda: process.words().count("serving ") == WORKERS, process.words())
        yield process


def test_a_worker_that_dies_is_started_again(placement: Served, port: int) -> None:
    before = children(placement.popen.pid)
    assert len(before) == WORKERS
    os.kill(before[0], signal.SIGKILL)
    after = eventually(
        lambda: len(now := children(placement.popen.pid)) == WORKERS and now != before and now, "no new one"
    )
    assert set(before[1:]) < set(after)
    eventually(lambda: placement.words().count("serving ") == WORKERS + 1, placement.words())
    assert is_ready(port)
    assert placement.terminate() == 0
    assert health(port)[0] == 0


def test_the_whole_group_may_be_asked_to_end(placement: Served, port: int) -> None:
    """As `docker stop` and Ctrl-C do: the workers hear it twice."""
    pids = children(placement.popen.pid)
    os.killpg(placement.popen.pid, signal.SIGTERM)
    assert placement.ended() == 0
    assert "asked twice" not in placement.words()
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_a_supervisor_that_comes_late_asks_nobody_twice(scene: Scene, tmp_path: Path, port: int) -> None:
    """The machine held it up, while its workers were told with it."""
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    state, env = ("--workers", "2", "--state", str(tmp_path / "state")), {"KILONOVA_SERVE_DRAIN_NOTICE": "2"}
    with Served(tmp_path / "log", *words, *state, env=env) as process:
        eventually(lambda: process.words().count("serving ") == 2, process.words())
        os.kill(process.popen.pid, signal.SIGSTOP)
        os.killpg(process.popen.pid, signal.SIGTERM)
        eventually(lambda: process.words().count("draining") == 2, process.words())
        time.sleep(1)
        os.kill(process.popen.pid, signal.SIGCONT)
        assert process.ended() == 0
        assert "asked twice" not in process.words()


def test_a_supervisor_that_comes_too_late_has_nobody_to_ask() -> None:
    """Its workers were told with it, and have ended before it could tell them."""
    supervisor = Supervisor(1, socket.socket(), lambda number: 0)
    gone = subprocess.Popen(["true"])
    gone.wait()
    supervisor._numbers[gone.pid] = 0
    supervisor._end()


def test_workers_go_with_their_supervisor(placement: Served, port: int) -> None:
    """Or they would keep the port, and the next supervisor could not start."""
    placement.popen.kill()
    placement.ended()
    eventually(lambda: health(port)[0] == 0, "somebody still answers")


def test_workers_that_cannot_start_end_their_supervisor(scene: Scene, tmp_path: Path, port: int) -> None:
    blank = {"KILONOVA_DATABASE_PLACEMENT": f"sqlite:///{tmp_path}/blank.sqlite"}
    words = ("serve", "placement", "--config", str(scene.cluster.config), "--port", str(port))
    with Served(tmp_path / "log", *words, "--workers", "2", "--state", str(tmp_path / "state"), env=blank) as process:
        assert process.ended() == 2
        assert "run `kilonova db upgrade`" in process.words()
