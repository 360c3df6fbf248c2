"""What telling costs: CPU of a launch and deletion with and without what is recorded for people only.

Telling is what `kilonova trace` and `kilonova explain` show and the log says: steps, in the journal and the database, decisions
with their reasons. Metrics there are none beside these, and notifications are off unless configured. Some of it is read again
after a crash (the last step of a run that was given up); it is counted as telling all the same. Server actions are the
compute API's own, os-instance-actions, and say which request a build belongs to: what they cost is a row of its own.

Clouds stand side by side, one that tells all and others that do not (`benchmarks/untold.py`), and get the same load in turn; a
share is that of one round of turns, and their median is what counts: a single one is noise.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row

TURNS, LAUNCHES, AT_ONCE = 16, 50, 10
TELLING, ALL = "steps,decisions,log", "actions,steps,decisions,log"
TOLD = {"server_actions": "actions", "step_reports": "steps", "decisions": "decisions"}  # table → its part
UNTOLD = [sys.executable, "-m", "benchmarks.untold"]


def run(rounds: int) -> list[Row]:
    costs: dict[str, list[float]] = {name: [] for name in (ALL, TELLING, "")}
    with ExitStack() as stack:
        clouds = {name: stack.enter_context(_cloud(name)) for name in costs}
        for cloud in clouds.values():
            turn(cloud)  # the first of everything is not counted
        order = list(clouds)
        for _ in range(max(rounds, TURNS)):
            for name in order:
                costs[name].append(turn(clouds[name]))
            order.reverse()
        for name, cloud in clouds.items():
            held = {table for table, count in _rows(cloud.state).items() if count}
            if held != {table for table, part in TOLD.items() if part not in name}:
                raise RuntimeError(f"without {name or 'nothing'} there are rows of {held}")
    full, bare, silent = costs[""], costs[TELLING], costs[ALL]
    return [
        Row(what="CPU of one launch and delete", unit="ms", samples=full),
        Row(what="the same without telling", unit="ms", samples=bare),
        Row(what="telling, of a launch and delete", unit="%", samples=_shares(full, bare, full), asked=5.0),
        Row(what="server actions, of the same", unit="%", samples=_shares(bare, silent, full)),
    ]


def _cloud(without: str) -> AbstractContextManager[Cloud]:
    return one_process(wrap=UNTOLD, KILONOVA_UNTOLD=without) if without else one_process()


def _shares(more: list[float], less: list[float], of: list[float]) -> list[float]:
    return [(one - other) / whole * 100 for one, other, whole in zip(more, less, of, strict=True)]


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
