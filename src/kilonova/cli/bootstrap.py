"""`kilonova bootstrap`: the first records of a cloud of many processes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import typer

from kilonova import secrets_file
from kilonova.cli.common import CONFIG, STATE, console, settings_of
from kilonova.core.config import ConfigError
from kilonova.settings import SecretSettings, Settings
from kilonova.tls import verify_context

NEEDED = ("admin_password", "service_password")


def bootstrap(
    state: Path | None = STATE,
    config: Path | None = CONFIG,
    reset_passwords: bool = typer.Option(False, help="Set the passwords of users that exist too; their tokens end."),
) -> None:
    """Make admin, service user, demo user (where demo_password is set), roles and the catalog in identity's database.

    May be repeated at any time, e.g. after [endpoints] changed: what exists stays, but for the catalog's URLs."""
    settings = settings_of(state, config)
    secrets = secrets_file.known(settings.state_dir, settings.secrets)
    for name in NEEDED:
        if not getattr(secrets, name):
            raise ConfigError(f"[secrets] {name} is not set: all processes of the cloud must be given the same one")
    asyncio.run(_bootstrap(settings, secrets, reset_passwords))
    console.print(f"identity is at {settings.public_endpoint('identity')}/v3", highlight=False, soft_wrap=True)


async def _bootstrap(settings: Settings, secrets: SecretSettings, reset_passwords: bool) -> None:
    from kilonova.bootstrap import bootstrap as run
    from kilonova.components import SERVICES, core_deps
    from kilonova.core.faults import Faults
    from kilonova.core.web.transport import HttpTransport
    from kilonova.identity.app import MIGRATIONS

    endpoints = {service: settings.endpoint(service) for service in SERVICES}
    name = f"{settings.host}:bootstrap:{os.getpid()}"
    deps = core_deps(
        settings, secrets, HttpTransport(verify=verify_context(settings)), endpoints, Faults(), name=name, alone=False
    )
    try:
        if reset_passwords:
            await deps.core.bus.open()  # to send other processes the events of tokens that ended
        await deps.core.settle(deps.identity.database, MIGRATIONS)
        await run(deps.identity, settings, secrets, reset_passwords=reset_passwords)
    finally:
        await deps.identity.stop()
        await deps.core.bus.close()
        await deps.core.transport.close()
