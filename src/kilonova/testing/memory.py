"""How much memory processes really take: PSS, which divides a shared page among the processes that share it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def pss(pid: int, *, children: bool = True) -> float:
    """In MB, of a process and its children and theirs. 0 for a dead process, and for no process (0)."""
    parents = _parents() if children else {}
    wanted, found = [pid] if pid else [], 0.0
    while wanted:
        one = wanted.pop()
        found += _megabytes(one, "Pss")
        wanted += [child for child, parent in parents.items() if parent == one]
    return found


def anonymous(pid: int) -> float:
    """In MB: what the process allocated and does not share, which does not change when others come and go that use the same
    files. 0 for the dead."""
    return _megabytes(pid, "Anonymous")


def _megabytes(pid: int, field: str) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    match = re.search(rf"^{field}:\s+(\d+) kB", text, re.M)
    return int(match[1]) / 1000 if match else 0.0


def _parents() -> dict[int, int]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                found[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
    return found
