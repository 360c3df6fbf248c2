"""Half an hour of launches, lists and deletions (`KILONOVA_SOAK`: seconds): memory, tables and queues must not grow.

What is kept of deleted servers (`KEPT`) does grow, by some 25 rows a server: it is history, which `kilonova trace` and
`os-instance-actions` show. Nothing removes it: there is no archiving and no purging yet. The outbox, which is the queue of a
cloud with `memory://`, is a table like the others.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row
from kilonova.testing.memory import pss

SECONDS = float(os.environ.get("KILONOVA_SOAK", "1800"))
SAMPLES, SERVERS = 12, 10
KEPT = ("servers", "server_actions", "step_reports", "decisions", "server_faults")  # of deleted servers: history


def run(_rounds: int) -> list[Row]:
    memory, rates, rows = [], [], dict[str, list[float]]()
    with one_process() as cloud:
        for _ in range(SAMPLES):
            began, launched = time.monotonic(), 0
            while time.monotonic() - began < SECONDS / SAMPLES:
                launched += _turn(cloud)
            rates.append(launched / (time.monotonic() - began))
            memory.append(pss(cloud.pids[0]))
            for table, count in _tables(cloud.state).items():
                rows.setdefault(table, []).append(count)
        left = cloud.api.ok("GET", "ops", "/verify")["unexplained"]
    if left:
        raise RuntimeError(f"verify: {left}")
    grown = {table: counts for table, counts in rows.items() if counts[-1] > counts[0]}
    unbounded = sorted(grown.keys() - {f"compute.{name}" for name in KEPT})
    return [
        _row("memory", "MB", memory),
        _row("launches and deletions", "/s", rates),
        *(_row(f"{table}{' (history)' if table not in unbounded else ''}", "rows", counts)
          for table, counts in sorted(grown.items())),
        Row(what="memory at the end, above that of the first sample", unit="%", samples=[_growth(memory)], asked=5.0),
        Row(what="tables that grow without bound", unit="", samples=[float(len(unbounded))], asked=0.0),
    ]  # fmt: skip


def _row(what: str, unit: str, samples: list[float]) -> Row:
    minutes = [(number + 1) * SECONDS / SAMPLES / 60 for number in range(SAMPLES)]
    return Row(what=what, unit=unit, samples=samples, by="minutes", sizes=minutes)


def _growth(samples: list[float]) -> float:
    return (samples[-1] / samples[0] - 1) * 100


def _turn(cloud: Cloud) -> int:
    api = cloud.api
    body: dict[str, Any] = {"name": "soak", "imageRef": cloud.image, "flavorRef": "1", "networks": "none"}
    api.ok("POST", "compute", "/servers", {"server": body | {"min_count": SERVERS, "max_count": SERVERS}})
    while any(server["status"] == "BUILD" for server in _listed(api)):
        time.sleep(0.02)
    for server in _listed(api):
        api.ok("DELETE", "compute", f"/servers/{server['id']}")
    while _listed(api):
        time.sleep(0.02)
    return SERVERS


def _listed(api: Any) -> list[dict[str, Any]]:
    return list(api.ok("GET", "compute", "/servers/detail")["servers"])


def _tables(state: Path) -> dict[str, float]:
    """Rows of every table of every database."""
    found = {}
    for file in state.rglob("*.sqlite"):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                found[f"{file.stem}.{name}"] = float(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
    return found
