"""Processes that we did not start, or not in this life: looked at and ended. Blocking."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path


def command_line(pid: int) -> list[str]:
    """Arguments of a live process; [] when there is none or only a zombie is left."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    return [] if state in "ZX" else words


def stop(pid: int, *, patience: float = 2.0) -> None:
    """End a process and wait until it is gone; `patience` seconds at most before it is killed."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            for number, timeout in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
                signal.pidfd_send_signal(handle, number)
                if _gone(handle, timeout):
                    return
        finally:
            os.close(handle)


def _gone(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
