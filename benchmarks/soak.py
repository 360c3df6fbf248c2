"""Half an hour of launches, lists and deletions (`KILONOVA_SOAK`: seconds): memory, files, tables and queues must not grow.

Deleted servers and their history are kept for a minute here (`[conductor] keep_deleted`), so that they come and go as they do in
a cloud that keeps them for months. Memory is judged by what the process itself allocated: PSS changes with every other process
that comes or goes and uses the same libraries. The outbox, which is the queue of a cloud with `memory://`, is a table like the
others.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row
from kilonova.testing.memory import anonymous, pss

SECONDS = float(os.environ.get("KILONOVA_SOAK", "1800"))
SAMPLES, SERVERS = 12, 10
KEPT = 60  # seconds for which deleted servers are kept
SOME = 1.25, 100  # a table grew when it holds more than so many times what it held, and so many rows more


def run(_rounds: int) -> list[Row]:
    memory, own, files, rates, rows = [], [], [], [], dict[str, list[float]]()
    with one_process(KILONOVA_CONDUCTOR_KEEP_DELETED=str(KEPT)) as cloud:
        for _ in range(SAMPLES):
            began, launched = time.monotonic(), 0
            while time.monotonic() - began < SECONDS / SAMPLES:
                launched += _turn(cloud)
            rates.append(launched / (time.monotonic() - began))
            memory.append(pss(cloud.pids[0]))
            own.append(anonymous(cloud.pids[0]))
            files.append(sum(file.stat().st_size for file in cloud.state.rglob("*.sqlite*")) / 1e6)
            for table, count in _tables(cloud.state).items():
                rows.setdefault(table, []).append(count)
        left = cloud.api.ok("GET", "ops", "/verify")["unexplained"]
    if left:
        raise RuntimeError(f"verify: {left}")
    grown = {table: counts for table, counts in rows.items() if _grew(counts)}
    moving = {table: counts for table, counts in rows.items() if max(counts) - min(counts) > SOME[1]}
    return [
        _row("memory", "MB", memory),
        _row("memory of its own (anonymous)", "MB", own),
        _row("databases with their logs", "MB on disk", files),
        _row("launches and deletions", "/s", rates),
        *(_row(table, "rows", counts) for table, counts in sorted((grown | moving).items())),
        Row(what="memory of its own at the end, above the first sample", unit="%", samples=[_growth(own)], asked=5.0),
        Row(what="tables that grow without bound", unit="", samples=[float(len(grown))], asked=0.0),
    ]


def _grew(counts: list[float]) -> bool:
    """From the first third to the last."""
    third = max(len(counts) // 3, 1)
    before, after = max(counts[:third]), max(counts[-third:])
    times, more = SOME
    return after > before * times and after > before + more


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
