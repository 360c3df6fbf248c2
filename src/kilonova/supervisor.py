"""Several worker processes on one listening socket: one that dies is started again, SIGTERM drains all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable

from kilonova.core import log
from kilonova.core.clock import SYSTEM
from kilonova.core.retry import Backoff
from kilonova.shutdown import DRAIN, OUTSIDE

AWAITED = OUTSIDE | {signal.SIGCHLD}
"""What the supervisor waits for: blocked all the time, so that none comes in the middle of something else."""
CANNOT_START = 2  # exit code of a worker that will not work on its next try either
SHORT_LIFE = 5.0  # seconds: workers that die sooner are started again after ever longer pauses
BACKOFF = Backoff(0.1, 10.0)
LONGEST_WAIT = 3600.0  # seconds
PR_SET_PDEATHSIG = 1
logger = log.get("serve")


class Supervisor:
    """`work` runs in each worker, given its number from 0 on; it returns the worker's exit code."""

    def __init__(self, workers: int, listener: socket.socket, work: Callable[[int], int]) -> None:
        self.workers, self.listener, self.work = workers, listener, work
        self._numbers: dict[int, int] = {}  # pid → number
        self._born: dict[int, float] = {}
        self._due: dict[int, float] = {}  # number of a worker that died → when it is started again
        self._short_lives = 0  # in a row
        self._draining = self._asked = False
        self._code = 0

    def run(self) -> int:
        """The exit code: 0 when all were drained, CANNOT_START when a worker said so, 143 when it was asked twice."""
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED | {DRAIN})
        for number in range(self.workers):
            self._fork(number)
        while self._numbers or self._due:
            received = signal.sigtimedwait(AWAITED, self._until_due())
            if received is not None and received.si_signo in OUTSIDE:
                self._asked_to_end()
            self._reap()
            for number in [number for number, due in self._due.items() if due <= SYSTEM.monotonic()]:
                del self._due[number]
                self._fork(number)
        logger.info("stopped", pid=os.getpid())
        return self._code

    def _until_due(self) -> float:
        return max(min(self._due.values(), default=LONGEST_WAIT + SYSTEM.monotonic()) - SYSTEM.monotonic(), 0)

    def _asked_to_end(self) -> None:
        """The first time all are drained, the second time all end at once."""
        if self._asked:
            logger.warning("second stop request: stopping at once", pid=os.getpid())
            self._code = 128 + signal.SIGTERM
            self._signal(signal.SIGKILL)
        else:
            logger.info("stop requested", pid=os.getpid(), workers=len(self._numbers))
        self._asked = True
        self._drain()

    def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        self._due.clear()
        self.listener.close()  # or the kernel would continue to accept connections that no worker serves
        self._signal(DRAIN)

    def _signal(self, number: signal.Signals) -> None:
        """Signal all workers; what has ended meanwhile is not reaped yet, so that each pid is still the worker's."""
        for pid in self._numbers:
            os.kill(pid, number)

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            number, lived = self._numbers.pop(pid), SYSTEM.monotonic() - self._born.pop(pid)
            ended = os.waitstatus_to_exitcode(status)
            if ended == CANNOT_START:
                self._code = CANNOT_START
                self._drain()
            if not self._draining:
                logger.error("worker died, restarting it", worker=number, pid=pid, code=ended, after=round(lived, 1))
                self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
                self._due[number] = SYSTEM.monotonic() + BACKOFF.pause(self._short_lives + 1)

    def _fork(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._child(number, parent))
        self._numbers[pid], self._born[pid] = number, SYSTEM.monotonic()

    def _child(self, number: int, parent: int) -> int:
        # a supervisor that is killed takes its workers along, or they would keep its port
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # a request to end stays blocked until the worker knows how to drain: see `on_signal`
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            return self.work(number) if os.getppid() == parent else 1
        except BaseException:
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
