"""Commands that find no cloud, or one in their way, say so in one line without the usage of the command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kilonova.cli.common import Running
from kilonova.cli.main import main


@pytest.mark.parametrize(
    "words", [("trace", "s"), ("explain", "s"), ("verify",), ("openrc", "admin"), ("clouds-yaml",)]
)
def test_no_cloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = refused(monkeypatch, capsys, *words, "--state", str(tmp_path))
    assert said.startswith(("kilonova: no cloud runs from ", "kilonova: no cloud was started from "))
    assert "kilonova up" in said


def test_clean_leaves_a_running_cloud_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("kilonova.cli.clean.running", lambda _: Running(pid=os.getpid(), url="http://x", region="R"))
    (tmp_path / "kept").touch()
    said = refused(monkeypatch, capsys, "clean", "--yes", "--state", str(tmp_path))
    assert said == f"kilonova: a cloud runs from {tmp_path}: `kilonova down` first"
    assert (tmp_path / "kept").exists()


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["kilonova", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert "\n" not in said
    return said
