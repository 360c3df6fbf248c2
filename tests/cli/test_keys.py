"""Keys made and rotated by hand, as on several controllers: what one sealed, the others open."""

from __future__ import annotations

import shutil
from pathlib import Path

from typer.testing import CliRunner

from kilonova.cli.main import app
from kilonova.core.clock import Clock
from kilonova.identity.logic.keys import KeyRepository


def keys(*words: str) -> None:
    result = CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output


def test_keys_of_two_controllers(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    keys("create", "--state", str(one))
    keys("create", "--state", str(one))  # changes nothing
    assert sorted(path.name for path in (one / "fernet-keys").iterdir()) == ["0", "1"]
    assert (one / "fernet-keys" / "1").stat().st_mode & 0o777 == 0o600
    shutil.copytree(one, two)

    def repository(state: Path) -> KeyRepository:
        return KeyRepository(state / "fernet-keys", Clock(), max_active=3)

    old = repository(one).seal(b"old")
    keys("rotate", "--state", str(one))
    new = repository(one).seal(b"new")
    assert [repository(two).open(sealed) for sealed in (old, new)] == [b"old", b"new"]  # before they are copied
    shutil.rmtree(two)
    shutil.copytree(one, two)
    assert [repository(two).open(sealed) for sealed in (old, new)] == [b"old", b"new"]
    assert (one / "credential-keys" / "1").exists()


def test_keys_that_somebody_else_has_just_made_are_found(tmp_path: Path) -> None:
    """Two identity services that start at once on one shared folder."""
    late = KeyRepository(tmp_path, Clock(), max_active=3)
    late._write(0)
    late.create()  # saw the other's first key only
    early = KeyRepository(tmp_path, Clock(), max_active=3)
    early._write(1)
    assert late.open(early.seal(b"x")) == b"x"
    assert late.open(b"gAAAA-no-such-thing") is None
