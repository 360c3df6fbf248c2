"""The results of a benchmark: a row for each number, with its bound in SPEC.md where there is one."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

TIMES = 15  # that a call is made for its median


class Row(msgspec.Struct, kw_only=True):
    """`samples` in `unit`; `asked` is a bound: at most, or with `more_is_better` at least. For a curve, `sizes` has for each
    sample the number of objects, and `by` their kind."""

    what: str
    unit: str
    samples: list[float]
    asked: float | None = None
    more_is_better: bool = False
    by: str | None = None
    sizes: list[float] | None = None

    @property
    def label(self) -> str:
        if self.sizes is None:
            return self.what
        return f"{self.what} at {_short(self.sizes[0])} to {_short(self.sizes[-1])} {self.by}"

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def holds(self) -> bool | None:
        if self.asked is None:
            return None
        return self.median >= self.asked if self.more_is_better else self.median <= self.asked


class Report(msgspec.Struct, kw_only=True):
    """All rows of one benchmark. `load` is the machine's load before and after: what else it was doing."""

    name: str
    command: str
    when: str
    cores: int
    python: str
    load: tuple[float, float]
    rows: list[Row]


def median_ms(act: Callable[[], object], times: int = TIMES) -> float:
    """How long the call takes, in milliseconds."""
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        samples.append((time.perf_counter() - began) * 1000)
    return statistics.median(samples)


def report(name: str, rows: Sequence[Row], load_before: float) -> Report:
    return Report(
        name=name,
        command=f"python -m benchmarks {name}",
        when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        load=(load_before, os.getloadavg()[0]),
        rows=list(rows),
    )


def shown(made: Report, console: Console) -> None:
    table = Table(title=f"{made.name} (load {made.load[0]:.1f} to {made.load[1]:.1f})", title_justify="left")
    for heading, justify in (
        ("what", "left"),
        ("median", "right"),
        ("spread", "right"),
        ("asked", "right"),
        ("", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in made.rows:
        bound = "" if row.asked is None else f"{'≥' if row.more_is_better else '≤'} {row.asked:g}"
        verdict = {None: "", True: "[green]holds[/green]", False: "[red]missed[/red]"}[row.holds]
        spread = f"{_short(min(row.samples))}–{_short(max(row.samples))}" if len(row.samples) > 1 else ""
        table.add_row(row.label, f"{_short(row.median)} {row.unit}", spread, bound, verdict)
    console.print(table)


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def saved(made: Report, folder: Path) -> Path:
    file = folder_of(folder) / f"{made.name}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    return file


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
