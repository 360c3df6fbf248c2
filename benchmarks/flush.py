"""`kilonova token-flush` beside traffic: rows removed a second, and what checks of tokens and writes take beside it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from benchmarks.clouds import Cloud, one_process
from benchmarks.results import Row

ROWS = 100_000
QUIET = 3.0  # seconds without a flush


def run(rounds: int) -> list[Row]:
    speed: list[float] = []
    found: dict[str, list[float]] = {}
    with one_process(hosts=1, KILONOVA_IDENTITY_FLUSH_INTERVAL="0") as cloud:
        for _ in range(rounds):
            end = time.monotonic() + QUIET
            _note(found, "quiet", _traffic(cloud, lambda end=end: time.monotonic() < end))  # type: ignore[misc]
            _fill(cloud.state / "db" / "identity.sqlite")
            began = time.monotonic()
            command = [sys.executable, "-m", "kilonova", "token-flush", "--state", str(cloud.state), "-f", "json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as flush:
                _note(found, "beside a flush", _traffic(cloud, lambda flush=flush: flush.poll() is None))  # type: ignore[misc]
                assert flush.stdout is not None
                removed = json.loads(flush.stdout.read())
            assert removed["revocations"] == ROWS
            speed.append(ROWS / (time.monotonic() - began))
    rows = [Row(what="expired rows removed, start of the command included", unit="1/s", samples=speed)]
    return rows + [Row(what=what, unit="ms", samples=samples) for what, samples in found.items()]


def _note(found: dict[str, list[float]], when: str, taken: dict[str, list[float]]) -> None:
    for what, samples in taken.items():
        cuts = quantiles(samples, n=100)
        for name, value in (("median", cuts[49]), ("99th percentile", cuts[98])):
            found.setdefault(f"{what}, {name}, {when}", []).append(value)


def _traffic(cloud: Cloud, while_: Callable[[], bool]) -> dict[str, list[float]]:
    """Milliseconds of a request that checks a token in the database, and of one that writes there too."""
    api = cloud.api
    user = api.ok("GET", "identity", "/users?name=demo")["users"][0]["id"]
    taken: dict[str, list[float]] = {"check of a token": [], "change of a user": []}
    acts: tuple[Callable[[], object], ...] = (
        lambda: api.ok("GET", "identity", "/auth/projects"),
        lambda: api.ok("PATCH", "identity", f"/users/{user}", {"user": {"email": str(time.monotonic())}}),
    )
    while while_():
        for samples, act in zip(taken.values(), acts, strict=True):
            began = time.perf_counter()
            act()
            samples.append((time.perf_counter() - began) * 1000)
    return taken


def _fill(file: Path) -> None:
    """Revocations that have expired, as a busy cloud has them after a day."""
    then = int((time.time() - 60) * 1e6)
    rows = ((f"{time.monotonic_ns()}-{n}", f"audit:{n}", then, then) for n in range(ROWS))
    with sqlite3.connect(file, timeout=60) as database:
        database.executemany(
            "INSERT INTO revocations (id, subject, issued_before, expires_at) VALUES (?, ?, ?, ?)", rows
        )
    database.close()
