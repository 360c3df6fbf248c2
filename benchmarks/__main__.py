"""`python -m benchmarks [NAME…]`: runs, prints tables, writes one JSON file a benchmark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import typer
from rich.console import Console

from benchmarks import (
    buses,
    clones,
    feeds,
    flush,
    growth,
    guests,
    images,
    launches,
    lists,
    ports,
    recording,
    results,
    scheduling,
    soak,
    startup,
    tokens,
    volumes,
    wiring,
)

Bench = Callable[[int], list[results.Row]]
ALL: dict[str, Bench] = {
    "tokens": tokens.run,
    "flush": flush.run,
    "lists": lists.run,
    "launches": launches.run,
    "launches-distributed": launches.run_distributed,
    "scheduling": scheduling.run,
    "ports": ports.run,
    "feeds": feeds.run,
    "wiring": wiring.run,
    "images": images.run,
    "startup": startup.run,
    "recording": recording.run,
    "buses": buses.run,
    "guests": guests.run,
    "volumes": volumes.run,
}
LONG: dict[str, Bench] = {"clones": clones.run, "growth": growth.run, "soak": soak.run}


def main(
    names: list[str] = typer.Argument(
        None, help=f"Which: {', '.join([*ALL, *LONG])}. Default: all but the last {len(LONG)}."
    ),
    rounds: int = typer.Option(5, min=1, help="Samples of each number."),
    out: Path = typer.Option(Path("benchmarks/results"), help="Folder of the JSON files."),
) -> None:
    """Measure, beside the bounds of the design."""
    console = Console()
    for name in names or list(ALL):
        bench = (ALL | LONG).get(name)
        if bench is None:
            raise typer.BadParameter(f"no benchmark {name}; there are {', '.join([*ALL, *LONG])}")
        load = os.getloadavg()[0]
        made = results.report(name, bench(rounds), load)
        results.shown(made, console)
        console.print(f"[dim]{results.saved(made, out)}[/dim]")


typer.run(main)
