"""Stages of `make test`: all of them run, and the end lists each that failed."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"


def run(lines: str) -> subprocess.CompletedProcess[str]:
    script = f". {SCRIPTS}/common.sh\n. {SCRIPTS}/stages.sh\n{lines}\nstages_end\nsay 'all tests passed'\n"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)


def test_all_stages_run_and_all_failures_are_listed() -> None:
    failing = "printf 'FAILED tests/a.py::test_b - no\\nERROR tests/c.py\\n'; exit 5"
    ended = run(f'stage one bash -c "{failing}"\nstage two echo two runs\nstage three false')
    assert ended.returncode == 1
    assert "two runs" in ended.stdout
    assert "all tests passed" not in ended.stdout
    summary = ended.stdout.split("stages:")[1]
    words = [line.split()[1:] for line in summary.splitlines() if " passed " in line or " FAILED (" in line]
    assert words == [["FAILED", "(5)", "one"], ["passed", "two"], ["FAILED", "(1)", "three"]]
    for line in ("failed: one", "failed: three", "FAILED tests/a.py::test_b - no", "ERROR tests/c.py"):
        assert line in summary.splitlines()


def test_the_end_lists_no_failures_when_all_pass() -> None:
    ended = run("stage one true")
    assert ended.returncode == 0
    assert "failed" not in ended.stdout
    assert "all tests passed" in ended.stdout


def test_a_stage_beside_the_others_counts_as_they_do() -> None:
    beside = "beside slow bash -c 'until [ -e {0} ]; do sleep 0.01; done; echo FAILED tests/d.py; exit 3'"
    with tempfile.TemporaryDirectory() as folder:
        mark = f"{folder}/mark"
        ended = run(f"{beside.format(mark)}\nstage one bash -c 'echo early; touch {mark}'\nbeside_ends")
    assert ended.returncode == 1
    shown, summary = ended.stdout.split("stages:")
    assert shown.index("early") < shown.index("FAILED tests/d.py")
    assert [line.split()[1:] for line in summary.splitlines()[1:3]] == [["passed", "one"], ["FAILED", "(3)", "slow"]]
    assert "FAILED tests/d.py" in summary
    assert run("beside slow true\nstage one true\nbeside_ends").returncode == 0


def test_nothing_beside_outlives_the_script() -> None:
    ended = run("beside slow sleep 4321\nsleep 0.1\nexit 7")
    assert ended.returncode == 7
    assert subprocess.run(["pgrep", "-f", "^sleep 4321"], capture_output=True, check=False).returncode == 1
