"""`kilonova token-flush`: remove expired rows from identity's database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kilonova.cli.common import CONFIG, FORMAT, STATE, complaints, console, print_json, settings_of
from kilonova.core import log

NAMES = {
    "tokens": "tokens", "revocations": "revocations", "revocation_events": "revocation events",
    "login_failures": "counts of wrong passwords",
}  # fmt: skip


def token_flush(config: Path | None = CONFIG, state: Path | None = STATE, format: str = FORMAT) -> None:
    """Remove what has expired from identity's database: tokens (of the uuid provider), revocations, their events, and counts of
    wrong passwords. What has not expired stays.

    The cloud may run, on this host or elsewhere: rows go in small transactions with pauses between them, and several of these
    commands may run at once. The identity service does the same every [identity] flush_interval seconds; with 0 there this
    command alone does it, for example from cron. With -f json: how many rows of each table were removed."""
    from kilonova.databases import flush_tokens

    log.configure(level="critical")  # what is wrong we say ourselves
    settings = settings_of(state, config)
    with complaints.status("looking for what has expired") as shown:
        removed = asyncio.run(flush_tokens(settings, lambda so_far: shown.update(f"removed {_words(so_far)}")))
    if format == "json":
        print_json(removed)
    else:
        console.print(f"removed {_words(removed)}", highlight=False, soft_wrap=True)


def _words(removed: dict[str, int]) -> str:
    return ", ".join(f"{count} {NAMES[table]}" for table, count in removed.items())
