"""`kilonova config show|check`."""

from __future__ import annotations

from pathlib import Path

import typer

from kilonova.cli.common import CONFIG, STATE, settings_of
from kilonova.config_warnings import warnings
from kilonova.core.config import as_toml
from kilonova.precheck import check_all
from kilonova.settings import SECRET_KEYS
from kilonova.tls import certificate

app = typer.Typer(help="Show or check the configuration.", no_args_is_help=True)


@app.command()
def show(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Print the effective configuration as TOML, with defaults; secrets are hidden."""
    typer.echo(as_toml(settings_of(state, config), secret_keys=SECRET_KEYS))


@app.command()
def check(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Check the configuration file and the environment; exit code 2 and one clear line when something is wrong. What works and
    is not safe on a network is warned of."""
    settings = settings_of(state, config)
    certificate(settings)
    check_all(settings)
    for line in warnings(settings):
        typer.echo(f"warning: {line}", err=True)
    typer.echo(f"{config or 'defaults and environment'}: good")
