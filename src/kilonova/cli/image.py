"""`kilonova image build-guest`: a small bootable image from Debian packages."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kilonova.cli.common import FORMAT, complaints, console, print_json

app = typer.Typer(help="Images to boot.", no_args_is_help=True)


@app.command("build-guest")
def build_guest(
    out: Path = typer.Argument(Path("guest"), help="Directory for the results."), format: str = FORMAT
) -> None:
    """Build a guest that boots in seconds: kernel, ramdisk and root disk, and the same as one whole disk. Needs root."""
    from kilonova.guest.build import build_guest as build

    os.umask(0o022)  # of the files inside the guest, too, which are for its users
    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=complaints) as progress:
        task = progress.add_task("building the guest", total=1.0)
        images = asyncio.run(build(out, lambda what, done: progress.update(task, description=what, completed=done)))
    if format == "json":
        print_json({name: str(getattr(images, name)) for name in images.__struct_fields__})
        return
    for name in images.__struct_fields__:
        console.print(f"{name:<12} {getattr(images, name)}", highlight=False)
