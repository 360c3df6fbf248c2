"""`python -m benchmarks.graphs`: draws what `growth` and `soak` measured, from their JSON files into SVG
files in docs/explanation/growth/.

One file a subject, one panel a unit, one line a row, with how many there were on x and the cost on y. Wants the optional extra
`graphs`.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import matplotlib as mpl
import msgspec
import typer
from matplotlib.figure import Figure

from benchmarks.results import Report, Row, folder_of

SOURCES = ("growth", "soak")
SUBJECTS = {
    "hosts": ("hosts",),
    "servers": ("servers",),
    "ports-rules-images": ("ports", "rules of a group", "images"),
    "soak": ("minutes",),
}
"""File → what its rows are by."""
WORDS = {"/s": "a second", "ms": "milliseconds", "MB": "MB (PSS)", "rows": "rows"}
PANEL = (4.6, 3.2)  # inches
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "kilonova", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
}  # fmt: skip


def main(
    results: Path = typer.Option(Path("benchmarks/results"), help="Folder of the JSON files."),
    out: Path = typer.Option(Path("docs/explanation/growth"), help="Folder of the graphs."),
) -> None:
    """Draw all that was measured."""
    reports = [_read(file) for name in SOURCES if (file := results / f"{name}.json").exists()]
    curves = [row for report in reports for row in report.rows if row.sizes is not None]
    if not curves:
        raise typer.BadParameter(f"nothing to draw in {results}: run `python -m benchmarks growth` first")
    mpl.rcParams.update(STYLE)
    for subject, kinds in SUBJECTS.items():
        if rows := [row for row in curves if row.by in kinds]:
            file = folder_of(out) / f"{subject}.svg"
            _drawn(rows).savefig(file, metadata={"Date": None})
            print(file)


def _read(file: Path) -> Report:
    return msgspec.json.decode(file.read_bytes(), type=Report)


def _panel(row: Row) -> tuple[str, str]:
    return row.by or "", row.unit


def _drawn(rows: list[Row]) -> Figure:
    """A panel for each unit of each kind."""
    panels = [(key, list(lines)) for key, lines in groupby(sorted(rows, key=_panel), key=_panel)]
    figure = Figure(figsize=(PANEL[0] * len(panels), PANEL[1]), layout="constrained")
    for axes, ((by, unit), lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for row in lines:
            axes.plot(row.sizes, row.samples, marker="o", markersize=3, label=row.what)
        axes.set(xlabel=by, ylabel=WORDS.get(unit, unit))
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0, top=max(max(row.samples) for row in lines) * 1.35)  # room for the legend
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    typer.run(main)
