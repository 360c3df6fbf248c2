"""What recording a launch's history costs: the CPU that a launch and its deletion spend on records for people only.

The history is what `kilonova trace` and `kilonova explain` show: steps, in the agent's journal and in the database, and decisions
with their reasons. There are no metrics beside these; a launch that succeeds writes no line to the log, and notifications are off
unless configured. Some of the records are read again after a crash; they are counted all the same. Server actions belong to the
compute API (os-instance-actions) and name the request of a build: their cost is a row of its own.

The functions that record are timed inside the process (`benchmarks/timed.py`). That does not count what records cost elsewhere:
some bytes on the bus and pages at a commit. Two clouds side by side, one of which records nothing, differ by more than that cost
even when both are the same.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.clouds import Cloud, one_process, workplace
from benchmarks.results import Row
from benchmarks.timed import PARTS, Counted

LAUNCHES, AT_ONCE, TURNS = 50, 10, 4
BESIDE = "server actions"
ANSWER_TIMEOUT = 5.0  # seconds to wait for an answer


def run(rounds: int) -> list[Row]:
    parts: dict[str, list[float]] = {part: [] for part in PARTS}
    whole: list[float] = []
    with workplace() as folder:
        file = folder / "timed.json"
        with one_process(wrap=[sys.executable, "-m", "benchmarks.timed"], KILONOVA_TIMED=str(file)) as cloud:
            _launches(cloud, 1)  # the first of everything is not counted
            before = _counted(cloud, file)
            for _ in range(rounds):
                _launches(cloud, TURNS)
                after = _counted(cloud, file)
                whole.append(_each(after.process - before.process))
                for part, costs in parts.items():
                    costs.append(_each(after.parts[part] - before.parts[part]))
                before = after
    recorded = [sum(costs[n] for part, costs in parts.items() if part != BESIDE) for n in range(rounds)]
    return [
        Row(what="CPU of one launch and delete", unit="ms", samples=whole),
        *(Row(what=f"… of which {part}", unit="ms", samples=costs) for part, costs in parts.items()),
        Row(what="recording history, of a launch and delete", unit="%", samples=_shares(recorded, whole), asked=5.0),
        Row(what="server actions, of the same", unit="%", samples=_shares(parts[BESIDE], whole)),
    ]


def _launches(cloud: Cloud, turns: int) -> None:
    options = ("-n", str(LAUNCHES), "-c", str(AT_ONCE), "--network", "none", "--poll", "0.05", "--phases", "boot")
    for found in cloud.client(*options, "--repeat", str(turns))["boot"]:
        if found["failures"]:
            raise RuntimeError(f"{found['failures']} servers did not become ACTIVE")


def _counted(cloud: Cloud, file: Path) -> Counted:
    file.unlink(missing_ok=True)
    os.kill(cloud.pids[0], signal.SIGUSR1)
    until = time.monotonic() + ANSWER_TIMEOUT
    while not file.exists():
        if time.monotonic() > until:
            raise RuntimeError("the cloud does not say what it counted")
        time.sleep(0.01)
    return msgspec.json.decode(file.read_bytes(), type=Counted)


def _each(seconds: float) -> float:
    return seconds / (TURNS * LAUNCHES) * 1000


def _shares(parts: list[float], whole: list[float]) -> list[float]:
    return [part / all_of_it * 100 for part, all_of_it in zip(parts, whole, strict=True)]
