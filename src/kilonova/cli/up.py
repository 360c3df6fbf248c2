"""`kilonova up` and `kilonova down`: the whole cloud in one process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer
import uvloop

from kilonova.cli.common import CONFIG, STATE, Running, bind, console, is_alive, running, start_of
from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.core import folders, gc_tuning, log
from kilonova.core.clock import SYSTEM
from kilonova.core.errors import CannotStart, ServiceUnavailable
from kilonova.core.web.server import HttpServer
from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.settings import Settings, default_state_dir, load
from kilonova.shutdown import Shutdown

if TYPE_CHECKING:
    from kilonova.cloud import Cloud

READY_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0  # seconds beside `drain_timeout`
BACKLOG = 2048


def up(
    state: Path | None = STATE,
    port: int | None = typer.Option(None, help="Port of all APIs (default 8774)."),
    listen: str | None = typer.Option(None, help="Address to listen on (default 127.0.0.1)."),
    driver: str | None = typer.Option(None, help="libvirt (real guests; needs root) or fake (no guests, no root)."),
    fake_hosts: int | None = typer.Option(None, min=1, max=10000, help="Number of hosts with --driver fake."),
    config: Path | None = CONFIG,
    detach: bool = typer.Option(
        False, "--detach", help="Go on in the background when ready; `kilonova down` stops it."
    ),
) -> None:
    """Start a whole cloud in this process: all APIs on one port, and this machine as its compute host."""
    cloud = {"listen": listen, "port": port, "fake_hosts": fake_hosts}
    if state is not None:
        cloud["state_dir"] = str(state.resolve())
    overrides = {"cloud": {k: v for k, v in cloud.items() if v is not None}}
    if driver is not None:
        overrides["agent"] = {"driver": driver}
    settings = load(config, overrides=overrides)
    if (other := running(settings.state_dir)) is not None:
        raise CannotStart(f"a cloud runs from {settings.state_dir} already (pid {other.pid}, {other.url})")
    if detach:
        _detach(settings)
        return
    log.configure(level=settings.log.level, json=settings.log.json)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))


def down(state: Path | None = STATE, config: Path | None = CONFIG) -> None:
    """Stop the cloud that runs from the state directory; guests keep running."""
    settings = load(config, overrides={"cloud": {"state_dir": str(state.resolve())}} if state else None)
    found = running(settings.state_dir)
    if found is None:
        console.print(f"no cloud runs from {settings.state_dir}")
        return
    os.kill(found.pid, signal.SIGTERM)
    timeout = settings.serve.drain_timeout + STOP_TIMEOUT
    until = SYSTEM.monotonic() + timeout
    while is_alive(found.pid, found.started):
        if SYSTEM.monotonic() > until:
            raise CannotStart(f"pid {found.pid} is still there after {timeout:g} s")
        time.sleep(0.05)
    console.print(f"stopped (pid {found.pid}); guests keep running")


async def _serve(settings: Settings) -> None:
    """Start, print how to log in, answer until SIGTERM or Ctrl-C, drain, stop."""
    from kilonova.cloud import Cloud  # here, so that `--help` need not load the services

    shutdown = Shutdown("up")
    shutdown.listen()
    listener = bind(settings.cloud.listen, settings.cloud.port)
    try:
        cloud = Cloud(settings)
        if not await shutdown.unless_asked(cloud.start()):
            listener.close()
            return
    except (HypervisorUnavailable, DataPlaneError, ServiceUnavailable) as error:
        listener.close()
        raise CannotStart(f"{error} (`kilonova doctor` shows what is missing)") from error
    listener.listen(BACKLOG)  # a reader of the note may connect at once
    note = settings.state_dir / "kilonova.json"
    mine = Running(os.getpid(), settings.public_url, settings.cloud.region, start_of(os.getpid()) or 0)
    try:
        note.write_bytes(msgspec.json.encode(mine))
        gc_tuning.settle()
        _welcome(settings)
        await _answer(cloud, listener, settings, shutdown)
    finally:
        await cloud.stop()
        note.unlink(missing_ok=True)
        shutdown.done()


async def _answer(cloud: Cloud, listener: socket.socket, settings: Settings, shutdown: Shutdown) -> None:
    """Until the process is asked to end and what is in flight is answered, within `drain_timeout`."""
    serve = settings.serve
    server = HttpServer(
        cloud.app, drain_timeout=serve.drain_timeout, limits=serve.limits, websockets=cloud.app.websockets
    )
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    asked = asyncio.ensure_future(shutdown.asked.wait())
    await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    cloud.health.state = "draining"
    server.drain()
    server.should_exit = True
    await serving


def _welcome(settings: Settings) -> None:
    where = "" if settings.state_dir == default_state_dir() else f" --state {settings.state_dir}"
    console.print(f"identity is at [bold]{settings.public_url}/identity/v3[/bold]", highlight=False, soft_wrap=True)
    advice = f'log in with    eval "$(kilonova openrc admin{where})"    then e.g.  openstack server list'
    console.print(advice, highlight=False, soft_wrap=True)
    if settings.agent.driver != "fake" and not settings.dataplane.bridge_mappings:
        lacking = (
            "floating IPs lead nowhere before a bridge is named: [dataplane] bridge_mappings (docs/how-to/routers.md)"
        )
        console.print(lacking, highlight=False, soft_wrap=True)


def _detach(settings: Settings) -> None:
    """Start the same command in its own session and wait until it is ready; its words go to `kilonova.log`."""
    folders.settle(settings.state_dir)
    log_path = settings.state_dir / "kilonova.log"
    command = [sys.executable, "-m", "kilonova", *(part for part in sys.argv[1:] if part != "--detach")]
    with log_path.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    until = SYSTEM.monotonic() + READY_TIMEOUT
    while running(settings.state_dir) is None:
        if process.poll() is not None:
            tail = log_path.read_text(errors="replace").strip().splitlines()[-1:]
            reason = " ".join(tail).removeprefix("kilonova: ")
            raise CannotStart(f"it ended at once: {reason} (all of it: {log_path})")
        if SYSTEM.monotonic() > until:
            process.terminate()
            raise CannotStart(f"not ready within {READY_TIMEOUT:g} s; see {log_path}")
        time.sleep(0.02)
    _welcome(settings)
