"""Modes of what a process keeps, under any umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.core.folders import searchable, settle


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):o}"


def make(path: Path, mode: int) -> Path:
    """A folder where the path ends so, else a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(exist_ok=True) if not path.suffix and path.name != "secret" else path.write_text("x")
    path.chmod(mode)
    return path


def test_a_new_folder_is_private_and_its_parents_are_passed_through(tmp_path: Path) -> None:
    settle(tmp_path / "a" / "b" / "state")
    assert mode(tmp_path / "a" / "b" / "state") == "700"
    assert mode(tmp_path / "a" / "b") == mode(tmp_path / "a") == "711"
    searchable(tmp_path / "a" / "b" / "state", tmp_path / "a" / "b" / "state" / "network" / "networks")
    found = [mode(tmp_path / "a/b/state" / inner) for inner in ("", "network", "network/networks")]
    assert found == ["711", "711", "711"]


def test_what_is_open_is_closed(tmp_path: Path) -> None:
    state = make(tmp_path / "state", 0o755)
    kept = [make(state / name, 0o644) for name in ("db/compute.sqlite", "db/compute.sqlite-wal", "journal/compute.jsonl",
            "secrets.json", "kilonova.json", "kilonova.log", "fake-hypervisor.jsonl", "images/aa/image.raw")]  # fmt: skip
    (state / "db").chmod(0o777)
    settle(state)
    assert [mode(path) for path in kept] == ["600"] * len(kept)
    assert [mode(state / name) for name in ("", "db", "images", "images/aa")] == ["700"] * 4


def test_what_others_must_reach_stays_reachable(tmp_path: Path) -> None:
    state = make(tmp_path / "state", 0o755)
    disk, note = make(state / "instances/u/disk.raw", 0o644), make(state / "_base/i.json", 0o644)
    hosts, applied = make(state / "network/networks/n/hosts.txt", 0o644), make(state / "network/applied.json", 0o644)
    for folder in ("instances", "instances/u", "_base", "network", "network/networks", "network/networks/n"):
        (state / folder).chmod(0o755)
    settle(state)
    assert (mode(disk), mode(hosts)) == ("644", "644")
    assert (mode(note), mode(applied)) == ("600", "600")
    folders = ("", "instances", "instances/u", "_base", "network", "network/networks", "network/networks/n")
    assert [mode(state / folder) for folder in folders] == ["711"] * len(folders)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """A directory with other files, a shared directory, links to elsewhere."""
    home, elsewhere = make(tmp_path / "home", 0o755), make(tmp_path / "elsewhere.txt", 0o644)
    settle(home)
    assert mode(home) == "755"
    papers = make(home / "papers", 0o755)
    make(home / "secrets.json", 0o600)
    (home / "link.log").symlink_to(elsewhere)
    settle(home)
    assert (mode(papers), mode(elsewhere)) == ("755", "644")
    shared = make(tmp_path / "shared", 0o1777)
    make(shared / "secrets.json", 0o600)
    settle(shared)
    assert mode(shared) == "1777"
