"""`kilonova keys create|rotate`: the keys that encrypt tokens and credentials, the same on every identity service; `keys
host`: what a compute host has of its own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import typer

from kilonova import secrets_file
from kilonova.cli.common import CONFIG, STATE, console, settings_of
from kilonova.core.bus.senders import HostUsers
from kilonova.core.clock import Clock
from kilonova.core.config import ConfigError
from kilonova.settings import SecretSettings, Settings

if TYPE_CHECKING:
    from kilonova.identity.keys import KeyRepository

app = typer.Typer(help="The keys that encrypt tokens and credentials.", no_args_is_help=True)


@app.command()
def create(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Make the first keys where there are none; copy the folders to every machine that serves identity."""
    for keys in _repositories(settings_of(state, config)):
        keys.create()
        console.print(f"keys are in {keys.folder}", highlight=False, soft_wrap=True)


@app.command()
def rotate(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Encrypt tokens with the next key; afterwards copy the folder, with its new and removed files, to all identity services.

    Rotate at most max_active_keys - 2 times within the life of a token, or tokens end early. Credentials keep their key."""
    tokens, _ = _repositories(settings_of(state, config))
    console.print(
        f"tokens are encrypted with key {tokens.rotate()} of {tokens.folder}", highlight=False, soft_wrap=True
    )


@app.command()
def host(
    name: str = typer.Argument(metavar="HOST", help="The host's name, as its [agent] host says it."),
    config: Path | None = CONFIG,
    state: Path | None = STATE,
) -> None:
    """Print what a compute host has of its own: commands that make its broker user, and lines of its configuration."""
    settings = settings_of(state, config)
    if settings.bus.url.startswith("memory:"):
        raise ConfigError("[bus] url is memory://, which reaches one process: compute hosts need a broker, amqps://…")
    secrets = secrets_file.known(settings.state_dir, settings.secrets)
    for key in ("metadata_secret", "compute_password"):
        if not getattr(secrets, key):
            raise ConfigError(f"[secrets] {key} is not set: hosts need what is made of it")
    users = settings.bus.host_users or DEFAULT_USERS
    typer.echo("\n".join(host_lines(name, users, settings.bus.url, secrets, password=Clock().hex_id())))


DEFAULT_USERS = "kilonova-host-{host}"


def host_lines(host: str, users: str, bus_url: str, secrets: SecretSettings, *, password: str) -> list[str]:
    """For `kilonova keys host`; the first part is for a shell beside the broker."""
    from kilonova.core.bus.amqp.permissions import of_host
    from kilonova.core.bus.amqp.topology import EXCHANGE
    from kilonova.network.agent.metadata_signature import host_secret

    user, url = HostUsers(users).user_of(host), urlsplit(bus_url)
    rights, vhost = of_host(host), unquote(url.path.removeprefix("/")) or "/"
    brokers = url.netloc.rpartition("@")[2]
    own = urlunsplit(
        (url.scheme, f"{quote(user, safe='')}:{quote(password, safe='')}@{brokers}", url.path, url.query, "")
    )
    on = ["-p", vhost, user]
    commands = (
        ["add_user", user, password],
        ["set_permissions", *on, rights.configure, rights.write, rights.read],
        ["set_topic_permissions", *on, EXCHANGE, rights.topic_write, rights.topic_read],
    )
    return [
        "# on a broker's machine", *("rabbitmqctl " + shlex.join(words) for words in commands), "",
        "# in the host's kilonova.toml", "[bus]", f"url = {_toml(own)}", f"host_users = {_toml(users)}", "",
        "[secrets]", f"compute_password = {_toml(secrets.compute_password)}",
        f"metadata_secret = {_toml(host_secret(secrets.metadata_secret, host))}",
    ]  # fmt: skip


def _toml(text: str) -> str:
    return json.dumps(text)


def _repositories(settings: Settings) -> Iterator[KeyRepository]:
    """Those of tokens and of credentials."""
    from kilonova.identity.keys import KeyRepository  # here, so that other commands load no cryptography

    options = settings.identity
    for given, usual in ((options.key_dir, "fernet-keys"), (options.credential_key_dir, "credential-keys")):
        folder = Path(given) if given else settings.state_dir / usual
        yield KeyRepository(folder, Clock(), max_active=options.max_active_keys)
