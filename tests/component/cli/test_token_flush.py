"""`kilonova token-flush`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from kilonova.cli.main import app
from kilonova.core.clock import Clock
from kilonova.core.errors import CannotStart
from kilonova.databases import open_database
from kilonova.identity import timestamps
from kilonova.identity.tables import revocations
from kilonova.settings import load
from tests.component.cli.test_db import _logs, config  # noqa: F401 - fixtures


def run(config: Path, *words: str) -> Any:  # noqa: F811
    result = CliRunner().invoke(app, [*words, "--config", str(config)], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


async def fill(config: Path) -> None:  # noqa: F811
    """Two revocations that have expired and one that has not."""
    now = timestamps.now(Clock())
    rows = [
        {"id": str(n), "subject": "audit:x", "issued_before": now, "expires_at": now + life * timestamps.SECOND}
        for n, life in enumerate((-60, -1, 600))
    ]
    database = open_database(load(config), "identity")
    async with database.transaction() as tx:
        await tx.connection.execute(insert(revocations), rows)
    await database.close()


def test_it_prints_what_it_removed(config: Path) -> None:  # noqa: F811
    with pytest.raises(CannotStart, match="db upgrade"):
        run(config, "token-flush")
    run(config, "db", "upgrade", "identity")
    asyncio.run(fill(config))
    nothing = dict.fromkeys(("tokens", "revocations", "revocation_events", "login_failures"), 0)
    assert msgspec.json.decode(run(config, "token-flush", "-f", "json").stdout) == nothing | {"revocations": 2}
    assert run(config, "token-flush").stdout == (
        "removed 0 tokens, 0 revocations, 0 revocation events, 0 counts of wrong passwords\n"
    )


def test_the_help_helps() -> None:
    shown = CliRunner().invoke(app, ["token-flush", "--help"], env={"COLUMNS": "200"}).stdout
    for word in ("expired", "revocations", "flush_interval", "cron", "--config", "--state", "json"):
        assert word in shown
