"""`kilonova openrc` and `kilonova clouds-yaml`: how clients log in."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import typer

from kilonova import secrets_file
from kilonova.cli.common import CONFIG, STATE, running, settings_of
from kilonova.core.errors import CannotStart
from kilonova.identity.service_account import CONTROL_USER
from kilonova.settings import Settings

USERS = ("admin", "demo")
PROJECTS = {CONTROL_USER: "service"}
"""Users whose project has another name."""


def password_of(settings: Settings, user: str) -> str:
    """ "" where it is not known here."""
    key = f"{'service' if user == CONTROL_USER else user}_password"
    return str(getattr(settings.secrets, key) or getattr(secrets_file.read(settings.state_dir), key))


def login(settings: Settings, user: str) -> dict[str, str]:
    """What a client needs, by the names of clouds.yaml's `auth`."""
    alive = running(settings.state_dir)
    password = password_of(settings, user)
    if not password:
        raise CannotStart(f"no cloud was started from {settings.state_dir} yet: run `kilonova up` first")
    return {
        "auth_url": (f"{alive.url}/identity" if alive else settings.public_endpoint("identity")) + "/v3",
        "username": user,
        "password": password,
        "project_name": PROJECTS.get(user, user),
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }


def authority(settings: Settings) -> str:
    """The file with the authority of identity's certificate, for clients; "" where the system knows it, as that of
    `public_url`."""
    is_https = settings.public_endpoint("identity").startswith("https:")
    return settings.serve.ca_file if is_https and not settings.cloud.public_url else ""


def openrc(
    user: str = typer.Argument("admin", help="admin or demo"),
    state: Path | None = STATE,
    config: Path | None = CONFIG,
) -> None:
    """Print shell exports for a user: eval "$(kilonova openrc admin)"."""
    if user not in USERS:
        raise typer.BadParameter(f"there are {' and '.join(USERS)}, not {user}")
    settings = settings_of(state, config)
    for key, value in login(settings, user).items():
        typer.echo(f"export OS_{key.upper()}={shlex.quote(value)}")
    typer.echo(f"export OS_REGION_NAME={shlex.quote(settings.cloud.region)}\nexport OS_IDENTITY_API_VERSION=3")
    if file := authority(settings):
        typer.echo(f"export OS_CACERT={shlex.quote(file)}")


def clouds_yaml(state: Path | None = STATE, config: Path | None = CONFIG) -> None:
    """Print a clouds.yaml with the entries `kilonova` (user demo) and `kilonova-admin`, passwords included: umask 077."""
    typer.echo(clouds_text(settings_of(state, config)), nl=False)


def clouds_text(settings: Settings) -> str:
    lines = ["clouds:"]
    for cloud, user in (("kilonova", "demo"), ("kilonova-admin", "admin")):
        lines += [
            f"  {cloud}:",
            f"    region_name: {_quoted(settings.cloud.region)}",
            "    identity_api_version: 3",
            *([f"    cacert: {_quoted(file)}"] if (file := authority(settings)) else []),
            "    auth:",
        ]
        lines += [f"      {key}: {_quoted(value)}" for key, value in login(settings, user).items()]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode().replace("\x7f", "\\x7f")  # as YAML understands it
