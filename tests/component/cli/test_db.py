"""`kilonova db upgrade`, `kilonova db purge` and `kilonova db version`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from typer.testing import CliRunner

from kilonova.cli.main import app
from kilonova.core.config import ConfigError
from kilonova.core.errors import CannotStart
from kilonova.settings import DATABASES
from kilonova.testing.engines import free_port
from tests import databases


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """The command line sends logs to a stderr that ends with it."""
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose databases have no tables yet."""
    file = tmp_path / "kilonova.toml"
    urls = "".join(f'{name} = "{databases.url(tmp_path, f"{databases.BLANK}_{name}")}"\n' for name in DATABASES)
    file.write_text(f'[cloud]\nstate_dir = "{tmp_path}"\n[database]\n{urls}')
    return file


def run(config: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, ["db", *words, "--config", str(config)], env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def states(config: Path, *services: str) -> dict[str, tuple[str | None, str]]:
    rows = msgspec.json.decode(run(config, "version", *services, "-f", "json").stdout)
    assert all(row["state"] != "ready" or row["revision"] == row["head"] for row in rows)
    return {row["service"]: (row["revision"], row["state"]) for row in rows}


def test_from_nothing_to_ready(config: Path) -> None:
    assert states(config) == dict.fromkeys(DATABASES, (None, "empty"))
    assert run(config, "version").exit_code == 1
    first = run(config, "upgrade", "placement").stdout
    assert first == "placement: applied 0001, 0002\n"
    assert {name: state for name, (_, state) in states(config).items()} == {
        name: "ready" if name == "placement" else "empty" for name in DATABASES
    }
    assert list(states(config, "image", "placement")) == ["image", "placement"]
    run(config, "upgrade")
    assert run(config, "upgrade").stdout == "".join(f"{name}: nothing to do\n" for name in DATABASES)
    shown = run(config, "version")
    assert (shown.exit_code, shown.stdout.count("ready")) == (0, len(DATABASES))


def test_to_purge(config: Path) -> None:
    with pytest.raises(CannotStart, match="the compute database is at revision none"):
        run(config, "purge", "--older-than", "30")
    run(config, "upgrade", "compute")
    assert run(config, "purge", "--older-than", "30").stdout == "0 deleted servers removed\n"
    assert run(config, "purge", "--older-than", "0").exit_code == 2


def test_to_look_makes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.toml"
    file.write_text(f'[cloud]\nstate_dir = "{tmp_path}/state"\n')
    assert states(file)["compute"] == (None, "empty")
    assert not list((tmp_path / "state").rglob("*.sqlite"))


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_an_unreachable_server(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "kilonova.toml"
    file.write_text(f'[database]\nurl = "{kind}://u:secret@127.0.0.1:{free_port()}/{{service}}"\n')
    assert states(file)["compute"] == (None, "away")
    shown = run(file, "version", "compute")
    assert shown.exit_code == 1
    assert f"compute at {kind}://u:***@127.0.0.1:" in shown.output
    assert "secret" not in shown.output
    with pytest.raises(CannotStart, match=rf"the identity database at {kind}://u:\*\*\*@.* is unreachable: .*onnect"):
        run(file, "upgrade")


def test_an_unknown_service(config: Path) -> None:
    with pytest.raises(ConfigError, match="no service with a database: dns; there are identity, image"):
        run(config, "upgrade", "dns")
