"""`kilonova explain SERVER`: why this host, or why no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from kilonova.cli.api import Admin
from kilonova.cli.common import CONFIG, FORMAT, STATE, console, print_json, settings_of


def explain(
    server: str = typer.Argument(help="Name or id of the server."),
    state: Path | None = STATE,
    config: Path | None = CONFIG,
    format: str = FORMAT,
) -> None:
    """Show each scheduling decision about a server: how many hosts each filter removed, what it saw, the weights."""
    admin = Admin(settings_of(state, config))
    found = admin.server(server)
    decisions = admin.get(f"/compute/v2.1/servers/{found['id']}/os-kilonova-decisions")["decisions"]
    if format == "json":
        print_json({"server": found["id"], "name": found["name"], "decisions": decisions})
        return
    if not decisions:
        console.print(f"{escape(found['name'])}: no scheduling decision is recorded")
    for item in decisions:
        _print(found, item["decision"])
    if fault := found.get("fault"):
        console.print(f"[red]fault {fault['code']}[/red]: {escape(fault['message'])}")
        for line in fault.get("details", "").splitlines():
            console.print(f"  [dim]{escape(line)}[/dim]", soft_wrap=True)


def _print(server: dict[str, Any], decision: dict[str, Any]) -> None:
    chosen = decision.get("chosen")
    verdict = f"host [bold green]{chosen}[/bold green]" if chosen else "[bold red]no host[/bold red]"
    took = 1000 * decision.get("seconds", 0)
    console.print(
        f"[bold]{escape(server['name'])}[/bold]: {verdict}, by the {decision['scheduler']} scheduler in {took:.1f} ms"
    )
    if alternates := decision.get("alternates"):
        console.print(f"  alternates: {', '.join(alternates)}")
    filters = Table("filter", "hosts before", "after", "removed", box=None, header_style="dim")
    for item in decision.get("filters", []):
        filters.add_row(item["filter"], str(item["before"]), str(item["after"]), str(item["before"] - item["after"]))
    console.print(filters)
    hosts = Table("host", "verdict", box=None, header_style="dim")
    for host in decision.get("hosts", []):
        hosts.add_row(host["host"], _verdict(host))
    console.print(hosts)


def _verdict(host: dict[str, Any]) -> str:
    if host.get("refused_by"):
        return f"[red]{host['refused_by']}[/red]: {escape(host.get('saw', ''))}"
    weights = ", ".join(f"{name} {value:.2f}" for name, value in host.get("weights", {}).items())
    return f"weight {host.get('weight') or 0:.3f}" + (f" ({weights})" if weights else "")
