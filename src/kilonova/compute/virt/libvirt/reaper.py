"""Runs a daemon and reaps orphaned processes: `python reaper.py LOG FD PROGRAM ARGUMENTS…`, detached at once.

libvirt's guests become orphans, and libvirt waits until a dead one is gone from the process table. That is the work of
process 1; in containers it often does it late or never, so that each destroy takes seconds or fails. This process
adopts the orphans instead and ends with the last of them. FD is held open meanwhile, for the process that waits for that end.
Stands alone (standard library only), so that it stays small.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36


def main(log: str, argv: list[str]) -> None:
    if os.fork():
        return
    os.setsid()
    os.umask(0o022)  # ours is stricter; what libvirt makes, its guests' users read
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    with open(log, "ab") as output:
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:])
