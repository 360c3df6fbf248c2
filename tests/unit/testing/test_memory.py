"""Memory as it is reported for a cluster's processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kilonova.testing.memory import anonymous, pss

HOLD = "import sys; held = bytearray(b'x') * (40 << 20); print(flush=True); sys.stdin.read()"


def test_children_count() -> None:
    command = ["sh", "-c", f'python3 -c "{HOLD}"; true']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdout.readline()
        assert pss(parent.pid, children=False) < 40 < pss(parent.pid) < pss(parent.pid) + pss(os.getpid())
        assert 0 < anonymous(parent.pid) < 40 < anonymous(child_of(parent.pid))
        parent.stdin.close()


def test_the_dead_take_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert pss(gone.pid) == pss(0) == anonymous(gone.pid) == 0


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
