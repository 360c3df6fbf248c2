"""`kilonova serve COMPONENT`: one component of a cloud of many processes."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import typer
import uvloop

from kilonova import secrets_file
from kilonova.cli.common import CONFIG, STATE, bind
from kilonova.components import COMPONENTS, Component
from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.core import folders, log
from kilonova.core.config import ConfigError
from kilonova.core.errors import CannotStart
from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.serving import ComponentProcess
from kilonova.settings import SecretSettings, Settings, load
from kilonova.supervisor import CANNOT_START, Supervisor

BACKLOG = 2048
REFUSALS = (CannotStart, ConfigError, HypervisorUnavailable, DataPlaneError)


def serve(
    component: str = typer.Argument(help=" | ".join(COMPONENTS), metavar="COMPONENT"),
    listen: str | None = typer.Option(None, help="Address to listen on (default 127.0.0.1)."),
    port: int | None = typer.Option(None, help="Port of the API (default: the component's usual one)."),
    workers: int | None = typer.Option(None, min=1, max=256, help="Processes of an API, all on its port."),
    health_port: int | None = typer.Option(None, help="Port of /healthcheck for a component without an API."),
    state: Path | None = STATE,
    config: Path | None = CONFIG,
) -> None:
    """Run one component of a cloud of many processes: see docs/how-to/deploy.md."""
    chosen = COMPONENTS.get(component)
    if chosen is None:
        raise typer.BadParameter(f"there is no component {component}; there are {', '.join(COMPONENTS)}")
    given: dict[str, Any] = {"listen": listen, "port": port, "workers": workers, "health_port": health_port}
    overrides: dict[str, dict[str, Any]] = {"serve": {k: v for k, v in given.items() if v is not None}}
    if state is not None:
        overrides["cloud"] = {"state_dir": str(state.resolve())}
    settings = load(config, overrides=overrides)
    secrets = _secrets(chosen, settings)
    log.configure(level=settings.log.level, json=settings.log.json)
    folders.settle(settings.state_dir)
    listener = _listener(chosen, settings)
    count = settings.serve.workers if chosen.port is not None else 1
    if count == 1 or listener is None:
        code = work(chosen, settings, secrets, listener, 0)
    else:
        importlib.import_module(chosen.module)
        gc.freeze()  # what is loaded by now is shared between the workers' memories
        code = Supervisor(
            count, listener, lambda n: work(chosen, settings, secrets, listener, n, supervised=True)
        ).run()
    raise typer.Exit(code)


def work(
    component: Component, settings: Settings, secrets: SecretSettings, listener: socket.socket | None, number: int,
    *, supervised: bool = False,
) -> int:  # fmt: skip
    """One worker's life; its exit code."""
    port = listener.getsockname()[1] if listener is not None else 0
    name = f"{settings.host}:{component.name}:{port}:{number}"

    async def live() -> None:
        process = ComponentProcess(
            component, settings, secrets, listener, name=name, env=os.environ, supervised=supervised
        )
        await process.run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())
    except REFUSALS as error:
        print(f"kilonova: {error}", file=sys.stderr)
        return CANNOT_START
    return 0


def _secrets(component: Component, settings: Settings) -> SecretSettings:
    """The given ones, else those of an earlier `kilonova up` from this directory; all processes must have the same."""
    secrets = secrets_file.known(settings.state_dir, settings.secrets)
    for names in component.secrets:
        if not any(getattr(secrets, name) for name in names):
            raise ConfigError(
                f"[secrets] {names[0]} is not set: {component.name} needs the same one as all others of the cloud"
            )
    if settings.bus.url.startswith("memory:") and "bus" in component.needs:
        raise ConfigError(
            f"[bus] url is {settings.bus.url}, which reaches one process: {component.name} needs a broker"
        )
    return secrets


def _listener(component: Component, settings: Settings) -> socket.socket | None:
    port = (settings.serve.port or component.port) if component.port is not None else settings.serve.health_port
    if not port:
        return None
    listener = bind(settings.serve.listen, port)
    listener.listen(BACKLOG)
    return listener
