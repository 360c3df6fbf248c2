"""What telling costs: CPU of a launch and deletion with and without what is recorded for people only.

Telling is what os-instance-actions, `kilonova trace` and `kilonova explain` show and the log says: rows of server actions and
steps, decisions with their reasons, the journal's lines of single steps. There are no metrics beside these, and notifications
are off unless configured. Some of it is read again after a crash (which request a build belongs to, the last step of a run that
was given up); it is counted as telling all the same. Two clouds stand side by side, one of them without telling
(`benchmarks/untold.py`), and get the same load in turn; a share is that of one pair of turns, and their median is what counts:
a single one is noise.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row

TURNS, LAUNCHES, AT_ONCE = 16, 50, 10
TOLD = ("server_actions", "step_reports", "decisions")
UNTOLD = [sys.executable, "-m", "benchmarks.untold"]


def run(rounds: int) -> list[Row]:
    full: list[float] = []
    bare: list[float] = []
    with one_process() as told, one_process(wrap=UNTOLD) as untold:
        pairs = [(told, full), (untold, bare)]
        for cloud, _ in pairs:
            turn(cloud)  # the first of everything is not counted
        for _ in range(max(rounds, TURNS)):
            for cloud, costs in pairs:
                costs.append(turn(cloud))
            pairs.reverse()
        if not all(_rows(told.state).values()) or any(_rows(untold.state).values()):
            raise RuntimeError(f"rows of telling: {_rows(told.state)}, without telling: {_rows(untold.state)}")
    shares = [(one - other) / one * 100 for one, other in zip(full, bare, strict=True)]
    return [
        Row(what="CPU of one launch and delete", unit="ms", samples=full),
        Row(what="the same without telling", unit="ms", samples=bare),
        Row(what="telling, of a launch and delete", unit="%", samples=shares, asked=5.0),
    ]


def turn(cloud: Cloud) -> float:
    """CPU milliseconds of a launch and its deletion."""
    before = cloud.cpu_seconds()
    options = ("-n", str(LAUNCHES), "-c", str(AT_ONCE), "--network", "none", "--poll", "0.05", "--phases", "boot")
    (found,) = cloud.client(*options, "--repeat", "1")["boot"]
    if found["failures"]:
        raise RuntimeError(f"{found['failures']} servers did not become ACTIVE")
    return (cloud.cpu_seconds() - before) / LAUNCHES * 1000


def _rows(state: Path) -> dict[str, int]:
    (file,) = state.rglob("compute.sqlite")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return {name: int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in TOLD}
