"""Several worker processes on one listening socket: one that dies is started again, SIGTERM drains all of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from kilonova.core import log
from kilonova.core.clock import SYSTEM

ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
DRAIN = signal.SIGUSR1  # to a worker, which tells it from what its whole process group is told
CANNOT_START = 2  # exit code of a worker that will not work on its next try either
SHORT_LIFE, FIRST_PAUSE, LONGEST_PAUSE = 5.0, 0.1, 10.0  # seconds
PR_SET_PDEATHSIG = 1
logger = log.get("serve")


class Supervisor:
    """`work` runs in each worker, given its number from 0 on; it returns the worker's exit code."""

    def __init__(self, workers: int, listener: socket.socket, work: Callable[[int], int]) -> None:
        self.workers, self.listener, self.work = workers, listener, work
        self._numbers: dict[int, int] = {}  # pid → number
        self._born: dict[int, float] = {}
        self._pause = FIRST_PAUSE
        self._ending = False

    def run(self) -> int:
        """The exit code: 0 when all were drained, CANNOT_START when a worker said so."""
        for ending in ENDING:
            signal.signal(ending, self._end)
        for number in range(self.workers):
            self._fork(number)
        code = 0
        while self._numbers:
            pid, status = os.wait()
            number = self._numbers.pop(pid)
            ended = os.waitstatus_to_exitcode(status)
            if ended == CANNOT_START:
                code = CANNOT_START
                self._end()
            if not self._ending:
                self._again(number, pid, ended)
        return code

    def _end(self, *_: object) -> None:
        """Called by the signal, and again by the next one: the workers know what a second one means."""
        self._ending = True
        self.listener.close()  # or the kernel would go on to take connections for nobody
        for pid in list(self._numbers):
            with contextlib.suppress(ProcessLookupError):  # told with its group, it may have ended already
                os.kill(pid, DRAIN)

    def _again(self, number: int, pid: int, ended: int) -> None:
        lived = SYSTEM.monotonic() - self._born.pop(pid)
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if lived < SHORT_LIFE else FIRST_PAUSE
        logger.error("a worker died and is started again", worker=number, pid=pid, code=ended, after=round(lived, 1))
        time.sleep(self._pause)
        self._fork(number)

    def _fork(self, number: int) -> None:
        """A signal that comes meanwhile must neither miss the new worker nor run our handler in it."""
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            if self._ending:
                return
            pid = os.fork()
            if pid == 0:
                os._exit(self._child(number, parent))
            self._numbers[pid], self._born[pid] = number, SYSTEM.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _child(self, number: int, parent: int) -> int:
        for ending in ENDING:
            signal.signal(ending, signal.SIG_DFL)
        # a supervisor that is killed takes its workers along, or they would keep its port
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        try:
            return self.work(number) if os.getppid() == parent else 1
        except BaseException:
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
