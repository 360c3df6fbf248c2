"""The `kilonova` command: one file a subcommand."""

from __future__ import annotations

import os
import sys

import typer

from kilonova import __version__
from kilonova.cli import (
    bootstrap,
    clean,
    config,
    credentials,
    db,
    doctor,
    ec2,
    explain,
    image,
    keys,
    serve,
    token_flush,
    trace,
    up,
    verify,
)
from kilonova.core.config import ConfigError
from kilonova.core.errors import CannotStart
from kilonova.core.folders import UMASK

app = typer.Typer(
    name="kilonova",
    help="An OpenStack-compatible cloud in one program, launching real virtual machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(up.up)
app.command("down")(up.down)
app.command("serve")(serve.serve)
app.command("bootstrap")(bootstrap.bootstrap)
app.command("clean")(clean.clean)
app.command("doctor")(doctor.doctor)
app.command("openrc")(credentials.openrc)
app.command("clouds-yaml")(credentials.clouds_yaml)
app.command("trace")(trace.trace)
app.command("explain")(explain.explain)
app.command("token-flush")(token_flush.token_flush)
app.command("verify")(verify.verify)
app.add_typer(config.app, name="config")
app.add_typer(db.app, name="db")
app.add_typer(ec2.app, name="ec2")
app.add_typer(image.app, name="image")
app.add_typer(keys.app, name="keys")


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run; an error that the user can correct is printed as one line, with exit code 2."""
    os.umask(UMASK)  # what we write holds secrets; what others must read is given its mode
    try:
        app()
    except (ConfigError, CannotStart) as error:
        print(f"kilonova: {error}", file=sys.stderr)
        sys.exit(2)
