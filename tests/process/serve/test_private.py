"""What `keys`, `db`, `bootstrap` and `serve` leave in a state directory is for their account alone, under any umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import free_port
from tests.eventually import eventually
from tests.process.serve.processes import Served, is_ready


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(state: Path) -> list[str]:
    found = [state, *state.rglob("*")]
    return [f"{path} {stat.S_IMODE(path.lstat().st_mode):o}" for path in found if path.lstat().st_mode & 0o077]


def test_all_commands_write_for_their_account_alone(tmp_path: Path) -> None:
    state, port = tmp_path / "deep" / "state", free_port()
    env = {"KILONOVA_SECRETS_ADMIN_PASSWORD": PASSWORD, "KILONOVA_SECRETS_SERVICE_PASSWORD": PASSWORD}
    for number, words in enumerate(
        (("keys", "create"), ("keys", "rotate"), ("db", "upgrade", "identity"), ("bootstrap",))
    ):
        with Served(tmp_path / f"log{number}", *words, "--state", str(state), env=env) as done:
            assert done.ended() == 0, done.words()
        assert open_to_others(state) == [], words
    for path in (state, *state.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    with Served(tmp_path / "log", "serve", "identity", "--state", str(state), "--port", str(port), env=env) as served:
        eventually(lambda: is_ready(port), lambda: f"not ready: {served.words()}")
        assert open_to_others(state) == []
        assert served.terminate() == 0
