"""`kilonova trace SERVER`: the timeline of what happened to a server, step by step."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.markup import escape
from rich.tree import Tree

from kilonova.cli.api import Admin
from kilonova.cli.common import CONFIG, FORMAT, STATE, console, print_json, settings_of
from kilonova.compute.steps import ORDER

WIDTH = 28  # characters of the bar


class TimedStep(msgspec.Struct):
    """`offset_ms` from the action's first step; `duration_ms` None while it runs."""

    step: str
    component: str
    host: str | None
    offset_ms: float
    duration_ms: float | None
    result: str | None
    detail: str | None


class Timeline(msgspec.Struct):
    action: str
    request_id: str
    started_at: str
    total_ms: float
    steps: list[TimedStep]


def trace(
    server: str = typer.Argument(help="Name or id of the server."),
    state: Path | None = STATE,
    config: Path | None = CONFIG,
    format: str = FORMAT,
) -> None:
    """Show when each step of a server's launch and later actions began, how long it took and where it ran."""
    admin = Admin(settings_of(state, config))
    found = admin.server(server)
    base = f"/compute/v2.1/servers/{found['id']}/os-instance-actions"
    actions = [
        admin.get(f"{base}/{action['request_id']}")["instanceAction"] for action in admin.get(base)["instanceActions"]
    ]
    timelines = [timeline(action) for action in reversed(actions)]
    if format == "json":
        print_json({"server": found["id"], "name": found["name"], "status": found["status"], "actions": timelines})
        return
    for item in timelines:
        console.print(tree(found, item))


def timeline(action: dict[str, Any]) -> Timeline:
    """An instance action with its events as a timeline."""
    events = sorted(action.get("events", []), key=lambda e: (e["start_time"], _number(e["event"])))
    starts = [_time(e["start_time"]) for e in events] or [_time(action["start_time"])]
    ends = [_time(e["finish_time"]) for e in events if e.get("finish_time")] or starts
    first = min(starts)
    steps = [_step(event, first) for event in events]
    return Timeline(action["action"], action["request_id"], action["start_time"], _ms(max(ends) - first), steps)


def _step(event: dict[str, Any], first: dt.datetime) -> TimedStep:
    component, _, step = event["event"].partition("_")
    begun = _time(event["start_time"])
    took = _ms(_time(event["finish_time"]) - begun) if event.get("finish_time") else None
    return TimedStep(
        step, component, event.get("host"), _ms(begun - first), took, event.get("result"), event.get("details")
    )


def tree(server: dict[str, Any], line: Timeline) -> Tree:
    """The timeline as a Rich tree: components as branches, a bar for each step's place in time."""
    root = Tree(
        f"[bold]{line.action}[/bold] of {escape(server['name'])}  {line.total_ms:.0f} ms  [dim]{line.request_id}[/dim]"
    )
    branch: Tree | None = None
    where: tuple[str, str | None] | None = None
    for step in line.steps:
        if branch is None or (step.component, step.host) != where:
            where = (step.component, step.host)
            branch = root.add(f"[cyan]{step.component}[/cyan]" + (f" on {step.host}" if step.host else ""))
        branch.add(_row(step, line.total_ms))
    return root


def _row(step: TimedStep, total: float) -> str:
    scale = WIDTH / total if total else 0
    start = min(int(step.offset_ms * scale), WIDTH - 1)
    length = max(1, round((step.duration_ms or 0) * scale))
    bar = " " * start + "━" * min(length, WIDTH - start)
    took = f"{step.duration_ms:8.1f} ms" if step.duration_ms is not None else "   running "
    mark = {"Success": "[green]✓[/green]", "Error": "[red]✗[/red]", "Undone": "[yellow]↶[/yellow]"}
    text = f"{mark.get(step.result or '', ' ')} {step.step:<21}{took}  [blue]{bar:<{WIDTH}}[/blue]"
    return text + (f" [red]{escape(step.detail)}[/red]" if step.detail and step.result == "Error" else "")


def _number(event: str) -> int:
    return ORDER.get(event.partition("_")[2], 0)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _ms(delta: dt.timedelta) -> float:
    return delta.total_seconds() * 1000
