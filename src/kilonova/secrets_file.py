"""Passwords and keys that the first start makes: kept in `secrets.json` (0600) of the state directory."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from kilonova.core.clock import Clock
from kilonova.settings import SecretSettings


def read(state_dir: Path) -> SecretSettings:
    """What was kept; empty texts for what was not made yet."""
    try:
        return msgspec.json.decode((state_dir / "secrets.json").read_bytes(), type=SecretSettings)
    except FileNotFoundError:
        return SecretSettings()


def known(state_dir: Path, given: SecretSettings) -> SecretSettings:
    """The given ones, else the kept ones; nothing is made."""
    kept = read(state_dir)
    return SecretSettings(**{key: getattr(given, key) or getattr(kept, key) for key in given.__struct_fields__})


def settle(state_dir: Path, given: SecretSettings, clock: Clock) -> SecretSettings:
    """All secrets: the given ones, else the kept ones, else new ones. What is settled is kept."""
    kept, found = read(state_dir), known(state_dir, given)
    settled = SecretSettings(**{key: getattr(found, key) or clock.secret(18) for key in found.__struct_fields__})
    if settled != kept:
        state_dir.mkdir(parents=True, exist_ok=True)
        fresh = state_dir / "secrets.json.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(descriptor, 0o600)  # the file may be there already
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(settled), indent=2) + b"\n")
        os.replace(fresh, state_dir / "secrets.json")
    return settled
