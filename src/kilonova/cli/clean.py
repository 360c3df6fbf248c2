"""`kilonova clean`: remove everything a cloud made on this host."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import typer
from msgspec.structs import replace

from kilonova.cli.common import CONFIG, STATE, console, running, settings_of
from kilonova.core.errors import CannotStart
from kilonova.core.folders import runtime_folder
from kilonova.settings import Settings


def clean(
    state: Path | None = STATE,
    config: Path | None = CONFIG,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Remove this cloud's guests, disks, volumes, bridges, namespaces and filters from the host. What users made is lost."""
    settings = settings_of(state, config)
    if running(settings.state_dir) is not None:
        raise CannotStart(f"a cloud runs from {settings.state_dir}: `kilonova down` first")
    if not yes:
        typer.confirm(f"remove all guests and networks of {settings.state_dir}?", abort=True)
    guests = asyncio.run(_clean(settings))
    console.print(f"removed {guests} guests, their disks, volumes and networks")


async def _clean(settings: Settings) -> int:
    from kilonova.core.clock import Clock
    from kilonova.hosts import backends_of, data_plane_of, drivers_of

    removed = 0
    for driver in drivers_of(settings, Clock()).values():
        await driver.open()
        for guest in await driver.guests():
            await driver.destroy(guest.uuid)
            await driver.undefine(guest.uuid)
            removed += 1
        for server in await driver.disks.servers():
            await driver.disks.remove(server)
        plane = data_plane_of(replace(settings, dataplane=replace(settings.dataplane, tunnel_ip="")), "", "")
        await plane.open()
        await plane.close(remove=True)
        await driver.close()
    for backend in backends_of(settings, Clock()).values():
        await backend.clean()
    await asyncio.to_thread(shutil.rmtree, runtime_folder(settings.state_dir), ignore_errors=True)
    return removed
