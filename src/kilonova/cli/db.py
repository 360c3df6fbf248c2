"""`kilonova db upgrade|purge|version`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer
from rich.table import Table

from kilonova.cli.common import CONFIG, FORMAT, STATE, complaints, console, print_json, settings_of
from kilonova.core import log
from kilonova.core.config import ConfigError
from kilonova.settings import DATABASES, Settings

app = typer.Typer(
    help="The services' databases: bring them to this release, show their revision, remove old records.",
    no_args_is_help=True,
)
SERVICES = typer.Argument(None, metavar="[SERVICE]...", help=f"Of {', '.join(DATABASES)}; all where none is named.")
COLOURS = {"ready": "green", "empty": "yellow", "old": "yellow", "newer": "red", "away": "red"}


def _settings(state: Path | None, config: Path | None) -> Settings:
    log.configure(level="critical")  # what is wrong we say ourselves
    return settings_of(state, config)


def _chosen(services: list[str] | None) -> list[str]:
    unknown = sorted(set(services or ()) - set(DATABASES))
    if unknown:
        raise ConfigError(f"no service with a database: {', '.join(unknown)}; there are {', '.join(DATABASES)}")
    return [name for name in DATABASES if not services or name in services]


@app.command()
def upgrade(services: list[str] | None = SERVICES, config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Make the tables, or change them to what this release needs. Harmless to repeat, and from several places at once."""
    settings = _settings(state, config)
    asyncio.run(_upgrade(settings, _chosen(services)))


async def _upgrade(settings: Settings, services: list[str]) -> None:
    from kilonova.databases import upgrade_one

    for service in services:
        applied = await upgrade_one(settings, service)
        console.print(f"{service}: {'applied ' + ', '.join(applied) if applied else 'nothing to do'}", highlight=False)


@app.command()
def purge(
    days: float = typer.Option(..., "--older-than", min=1, metavar="DAYS", help="Days since their deletion, at least."),
    config: Path | None = CONFIG,
    state: Path | None = STATE,
) -> None:
    """Remove records of servers that were deleted long ago: rows, actions, steps, decisions and faults. The cloud may run.
    `[conductor] keep_deleted` (seconds) does so all the time."""
    from kilonova.databases import purge

    settings = _settings(state, config)
    with console.status("looking for deleted servers") as shown:
        count = asyncio.run(purge(settings, days, lambda done: shown.update(f"{done} servers removed")))
    console.print(f"{count} deleted servers removed", highlight=False)


@app.command()
def version(
    services: list[str] | None = SERVICES,
    config: Path | None = CONFIG,
    state: Path | None = STATE,
    format: str = FORMAT,
) -> None:
    """Print each database's engine, revision and state; exit code 1 when one is not ready for this release."""
    from kilonova.databases import states

    settings = _settings(state, config)
    found = asyncio.run(states(settings, _chosen(services)))
    if format == "json":
        print_json(found)
    else:
        table = Table("service", "engine", "revision", "head", "state", box=None)
        for row in found:
            shown = f"[{COLOURS[row.state]}]{row.state}[/]"
            table.add_row(row.service, row.engine, row.revision or "-", row.head or "-", shown)
        console.print(table)
        for row in found:
            if row.reason is not None:
                complaints.print(
                    f"{row.service} at {row.url}: {row.reason}", markup=False, highlight=False, soft_wrap=True
                )
    if any(row.state != "ready" for row in found):
        raise typer.Exit(1)
