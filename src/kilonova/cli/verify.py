"""`kilonova verify`: does everything that exists have a reason to?"""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from kilonova.cli.api import Admin
from kilonova.cli.common import CONFIG, FORMAT, STATE, console, print_json, settings_of


def verify(state: Path | None = STATE, config: Path | None = CONFIG, format: str = FORMAT) -> None:
    """Compare database, allocations, ports, guests, disks, taps and filter chains; name every one that nothing explains.

    Exit code 0 when all is explained, 1 when not. Run it while nothing is being launched: work in progress shows."""
    report = Admin(settings_of(state, config)).get("/ops/verify")
    if format == "json":
        print_json(report)
    else:
        counted = ", ".join(f"{number} {what}" for what, number in report["counted"].items())
        console.print(f"looked at {counted}")
        table = Table("where", "what", "why it is wrong", box=None, header_style="dim")
        for item in report["unexplained"]:
            table.add_row(*(escape(item[part]) for part in ("where", "what", "why")))
        console.print(table if report["unexplained"] else "[green]everything is explained[/green]")
    raise typer.Exit(1 if report["unexplained"] else 0)
