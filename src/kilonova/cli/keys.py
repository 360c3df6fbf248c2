"""`kilonova keys create|rotate`: the keys that seal tokens and credentials, the same on every identity service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kilonova.cli.common import CONFIG, STATE, console, settings_of
from kilonova.core.clock import Clock
from kilonova.settings import Settings

if TYPE_CHECKING:
    from kilonova.identity.logic.keys import KeyRepository

app = typer.Typer(help="The keys that seal tokens and credentials.", no_args_is_help=True)


@app.command()
def create(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Make the first keys where there are none; copy the folders to every machine that serves identity."""
    for keys in _repositories(settings_of(state, config)):
        keys.create()
        console.print(f"keys are in {keys.folder}", highlight=False, soft_wrap=True)


@app.command()
def rotate(config: Path | None = CONFIG, state: Path | None = STATE) -> None:
    """Seal tokens with the next key; afterwards copy the folder, new files and gone ones, to all identity services.

    Rotate at most max_active_keys - 2 times within the life of a token, or tokens end early. Credentials keep their key."""
    tokens, _ = _repositories(settings_of(state, config))
    console.print(f"tokens are sealed with key {tokens.rotate()} of {tokens.folder}", highlight=False, soft_wrap=True)


def _repositories(settings: Settings) -> Iterator[KeyRepository]:
    """Those of tokens and of credentials."""
    from kilonova.identity.logic.keys import KeyRepository  # here, so that other commands load no cryptography

    options = settings.identity
    for given, usual in ((options.key_dir, "fernet-keys"), (options.credential_key_dir, "credential-keys")):
        folder = Path(given) if given else settings.state_dir / usual
        yield KeyRepository(folder, Clock(), max_active=options.max_active_keys)
