"""The journal: what a process that starts again knows of the earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.compute.agent import journal as module
from kilonova.compute.agent.journal import Journal, Line, without_secrets
from kilonova.compute.models import Move, PersonalityFile, ServerBuild
from kilonova.core.clock import Clock
from tests.component.agent.lab import build_of


def state(journal: Journal, *hosts: str) -> Any:
    return [
        (name, run.host, run.build, run.resumes, list(run.steps.values()))
        for host in hosts
        for name, run in journal.unfinished(host).items()
    ]


def reopened(journal: Journal, path: Path) -> Journal:
    journal.close()
    return Journal(path, Clock())


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    journal = Journal(path, Clock())
    run = journal.open_run("a", build_of(1), resumes=1)
    other = journal.open_run("b", build_of(2))
    done = journal.end(run, journal.begin("a", run, build_of(1), "accept"), "Success")
    journal.begin("a", run, build_of(1), "image")
    failed = journal.end(other, journal.begin("b", other, build_of(2), "accept"), "Error", "no room")
    before = state(journal, "a", "b")
    journal = reopened(journal, path)
    assert state(journal, "a", "b") == before
    assert [s.result for s in journal.steps(run)] == ["Success", None]
    assert journal.steps(run)[0] == done
    assert journal.steps(other) == [failed]
    assert (failed.detail, failed.result) == ("no room", "Error")
    assert journal.unfinished("c") == {}
    journal.close_run("a", run)
    journal = reopened(journal, path)
    assert list(journal.unfinished("a")) == []
    assert list(journal.unfinished("b")) == [other]


def test_the_step_that_was_cut_off_has_failed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", Clock())
    run = journal.open_run("a", build_of(1))
    done = journal.end(run, journal.begin("a", run, build_of(1), "accept"), "Success")
    journal.begin("a", run, build_of(1), "image")
    journal = reopened(journal, tmp_path / "j")
    first, last = journal.cut_off(journal.unfinished("a")[run], "the process died")
    assert first == done
    assert (last.step, last.result, last.detail) == ("image", "Error", "the process died")
    assert last.finished_at is not None


def test_a_run_that_is_opened_again_begins_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", Clock())
    run = journal.open_run("a", build_of(1))
    journal.begin("a", run, build_of(1), "accept")
    assert journal.open_run("a", build_of(1), resumes=1) == run
    journal = reopened(journal, tmp_path / "j")
    assert journal.unfinished("a")[run].resumes == 1
    assert journal.steps(run) == []


def lines(path: Path) -> list[bytes]:
    """A journal with two runs, one closed."""
    journal = Journal(path, Clock())
    run = journal.open_run("a", build_of(1))
    for step in ("accept", "networking", "image"):
        journal.end(run, journal.begin("a", run, build_of(1), step), "Success", "naïve détail")
    other = journal.open_run("a", build_of(2))
    journal.close_run("a", other)
    journal.begin("a", run, build_of(1), "define")
    journal.close()
    return path.read_bytes().splitlines(keepends=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0, max_value=100_000), noise=st.binary(max_size=5))
def test_a_torn_end_costs_the_torn_line_alone(tmp_path: Path, cut: int, noise: bytes) -> None:
    path = tmp_path / "whole.jsonl"
    path.unlink(missing_ok=True)
    whole = b"".join(lines(path))
    torn = whole[: cut % (len(whole) + 1)]
    kept = torn[: torn.rfind(b"\n") + 1]
    (tmp_path / "torn").write_bytes(torn)
    (tmp_path / "kept").write_bytes(kept)
    a, b = Journal(tmp_path / "torn", Clock()), Journal(tmp_path / "kept", Clock())
    if torn[len(kept) :] + b"\n" in whole.splitlines(keepends=True):
        return  # only the newline is missing: the line counts
    assert state(a, "a") == state(b, "a")
    run = a.open_run("a", build_of(3))  # what is written after a torn line is not swallowed by it
    a = reopened(a, tmp_path / "torn")
    assert run in a.unfinished("a")
    a.close(), b.close()
    (tmp_path / "torn").write_bytes(whole + noise)
    journal = Journal(tmp_path / "torn", Clock())
    assert len(journal.unfinished("a")) == 1
    journal.close()


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMPACT_AFTER", 20_000)
    path = tmp_path / "j"
    journal = Journal(path, Clock())
    kept = journal.open_run("a", build_of(1))
    record = journal.end(kept, journal.begin("a", kept, build_of(1), "accept"), "Success")
    for number in range(2, 200):
        run = journal.open_run("a", build_of(number))
        journal.end(run, journal.begin("a", run, build_of(number), "accept"), "Success")
        journal.close_run("a", run)
        assert path.stat().st_size < 40_000
    journal = reopened(journal, path)
    assert list(journal.unfinished("a")) == [kept]
    assert journal.steps(kept) == [record]
    assert path.stat().st_size < 4_000
    assert not path.with_suffix(".new").exists()
    journal.close()


SECRETS: dict[str, Any] = {"admin_pass": "hidden-pass", "user_data": "aGlkZGVu", "file": b"hidden file"}


def secret_build(number: int, *, move: Move | None = None) -> ServerBuild:
    build, replace = build_of(number), msgspec.structs.replace
    return replace(
        build,
        server=replace(build.server, user_data=SECRETS["user_data"]),
        spec=replace(
            build.spec,
            admin_pass=SECRETS["admin_pass"],
            personality=[PersonalityFile(path="/a", contents=SECRETS["file"])],
        ),
        move=move,
    )


def secrets_in(path: Path) -> list[str]:
    """The secrets that are in the file."""
    content = path.read_bytes()
    forms = {"admin_pass": b"hidden-pass", "user_data": b"aGlkZGVu", "file": b"aGlkZGVuIGZpbGU"}
    return [name for name, form in forms.items() if form in content]


def test_secrets_are_not_written_down(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path, Clock())
    run = journal.open_run("a", secret_build(1))
    assert secrets_in(path) == []
    assert journal.unfinished("a")[run].build == without_secrets(secret_build(1))
    assert path.stat().st_mode & 0o077 == 0


def test_what_an_older_release_wrote_down_is_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "j"
    old = [Line(host="a", run=f"r{n}", build=secret_build(n)) for n in (1, 2)] + [Line(host="a", run="r1", closed=True)]
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in old))
    path.chmod(0o644)
    assert secrets_in(path) == ["admin_pass", "user_data", "file"]
    journal = Journal(path, Clock())
    assert secrets_in(path) == []
    assert list(journal.unfinished("a")) == ["r2"]
    assert path.stat().st_mode & 0o077 == 0


def test_an_evacuation_keeps_its_secrets_until_its_end(tmp_path: Path) -> None:
    """A host that dies meanwhile has them from nowhere else."""
    path, other = tmp_path / "j", build_of(2)
    move = Move(kind="evacuation", migration="m", source="b", admin_pass=SECRETS["admin_pass"])
    journal = Journal(path, Clock())
    kept = journal.open_run("a", other)
    run = journal.open_run("a", secret_build(1, move=move))
    journal = reopened(journal, path)
    assert journal.unfinished("a")[run].build == secret_build(1, move=move)
    journal.close_run("a", run)
    assert secrets_in(path) == []
    assert journal.unfinished("a")[kept].build == other
    journal.end(kept, journal.begin("a", kept, other, "accept"), "Error", "written to the new file")
    assert "written to the new file" in path.read_text()
