"""What trace, explain, doctor and verify print."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from kilonova.cli import doctor as doctor_module
from kilonova.cli import explain as explain_module
from kilonova.cli import trace as trace_module
from kilonova.cli import verify as verify_module
from kilonova.cli.main import app
from kilonova.cli.trace import timeline, tree
from kilonova.compute.virt.driver import HypervisorUnavailable

HOSTILE = "[/etc] [bold]x[/bold] [/] [red"  # reads like markup


def event(name: str, at: str, until: str | None = None, **more: Any) -> dict[str, Any]:
    made = {"event": name, "start_time": f"2026-01-01T00:00:{at}", "result": "Success", "host": None, "details": None}
    return made | {"finish_time": f"2026-01-01T00:00:{until}" if until else None} | more


RECORDED: dict[str, Any] = {
    "action": "create",
    "request_id": "req-1",
    "start_time": "2026-01-01T00:00:00.000000",
    "events": [
        event("compute_start", "01.300000", None, result=None, host="node-2"),
        event("compute_networking", "00.250000", "00.500000", host="node-1"),
        event("compute_image", "00.500000", "00.750000", host="node-1", result="Error", details=f"no room {HOSTILE}"),
        event("api_authenticate", "00.000000", "00.010000"),
        event("api_authorize", "00.000000", "00.000000"),
        event("conductor_schedule", "00.100000", "00.200000"),
        event("compute_accept", "01.000000", "01.250000", host="node-2", result="Undone", details="interrupted"),
    ],
}


def printed(*what: Any) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(*what)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_timeline_from_a_recorded_action() -> None:
    line = timeline(RECORDED)
    assert (line.action, line.request_id, line.total_ms) == ("create", "req-1", 1250)
    assert [(s.component, s.step, s.host, s.offset_ms, s.duration_ms, s.result) for s in line.steps] == [
        ("api", "authenticate", None, 0, 10, "Success"),
        ("api", "authorize", None, 0, 0, "Success"),
        ("conductor", "schedule", None, 100, 100, "Success"),
        ("compute", "networking", "node-1", 250, 250, "Success"),
        ("compute", "image", "node-1", 500, 250, "Error"),
        ("compute", "accept", "node-2", 1000, 250, "Undone"),
        ("compute", "start", "node-2", 1300, None, None),
    ]


def test_the_timeline_as_a_tree() -> None:
    text = printed(tree({"name": HOSTILE}, timeline(RECORDED)))
    assert HOSTILE in text
    assert f"no room {HOSTILE}" in text
    assert "running" in text
    assert text.index("node-1") < text.index("node-2")
    for mark in "✓✗↶":
        assert mark in text
    assert "interrupted" not in text


@pytest.mark.parametrize(
    "events", [[], [event("compute_image", "05.000000", None, result=None)], [event("odd", "00.0", "00.0")]]
)
def test_timelines_of_little(events: list[Any]) -> None:
    line = timeline(RECORDED | {"events": events})
    assert line.total_ms >= 0
    assert printed(tree({"name": "vm"}, line))


# ---- commands that ask the cloud


class Answers:
    """Stands where the logged-in admin is."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __call__(self, _settings: Any) -> Answers:
        return self

    def server(self, _name: str) -> dict[str, Any]:
        fault = {"code": 500, "message": f"No valid host was found. {HOSTILE}"}
        return {"id": "id-1", "name": HOSTILE, "status": "ERROR", "fault": fault}

    def get(self, path: str) -> Any:
        return self.answers[path.rsplit("/", 1)[-1]]


DECISIONS = [
    {
        "scheduler": "filter", "chosen": None, "alternates": [], "seconds": 0.0012, "candidates": 3,
        "filters": [{"filter": "RamFilter", "before": 3, "after": 1}, {"filter": "CoreFilter", "before": 1, "after": 0}],
        "hosts": [{"host": "node-1", "refused_by": "RamFilter", "saw": f"free 10 MiB {HOSTILE}"}],
    },
    {
        "scheduler": "filter", "chosen": "node-2", "alternates": ["node-3"], "seconds": 0.0005, "filters": [],
        "hosts": [{"host": "node-2", "weight": 1.5, "weights": {"ram": 1.0, "cpu": 0.5}}, {"host": "node-3", "weight": 0.5}],
    },
]  # fmt: skip


LISTED = [{"decision": decision, "request_id": "req-1"} for decision in DECISIONS]


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the commands print, on wide paper."""
    paper = io.StringIO()
    for module in (explain_module, trace_module, verify_module, doctor_module):
        monkeypatch.setattr(module, "console", Console(file=paper, width=200))
    return paper


def test_explain(monkeypatch: pytest.MonkeyPatch, wide: io.StringIO) -> None:
    monkeypatch.setattr(explain_module, "Admin", Answers(**{"os-kilonova-decisions": {"decisions": LISTED}}))
    assert invoke("explain", "vm").exit_code == 0
    text = wide.getvalue()
    for part in ("no host", "RamFilter", "free 10 MiB", "node-2", "alternates: node-3", "1.500", "1.2 ms", HOSTILE,
                 "No valid host was found."):  # fmt: skip
        assert part in text, part
    shown = msgspec.json.decode(invoke("explain", "vm", "-f", "json").output)
    assert shown == {"server": "id-1", "name": HOSTILE, "decisions": LISTED}


def test_explain_without_a_decision(monkeypatch: pytest.MonkeyPatch, wide: io.StringIO) -> None:
    monkeypatch.setattr(explain_module, "Admin", Answers(**{"os-kilonova-decisions": {"decisions": []}}))
    assert invoke("explain", "vm").exit_code == 0
    assert "no scheduling decision is recorded" in wide.getvalue()


def test_trace(monkeypatch: pytest.MonkeyPatch, wide: io.StringIO) -> None:
    listing = {"instanceActions": [{"request_id": "req-1"}]}
    monkeypatch.setattr(
        trace_module, "Admin", Answers(**{"os-instance-actions": listing, "req-1": {"instanceAction": RECORDED}})
    )
    assert invoke("trace", "vm").exit_code == 0
    assert "networking" in wide.getvalue()
    shown = msgspec.json.decode(invoke("trace", "vm", "-f", "json").output)
    assert [step["step"] for step in shown["actions"][0]["steps"]][:2] == ["authenticate", "authorize"]


@pytest.mark.parametrize(("wrong", "code"), [([], 0), ([{"where": "node-1", "what": HOSTILE, "why": HOSTILE}], 1)])
def test_verify(monkeypatch: pytest.MonkeyPatch, wide: io.StringIO, wrong: list[Any], code: int) -> None:
    report = {"counted": {"servers": 3}, "unexplained": wrong}
    monkeypatch.setattr(verify_module, "Admin", Answers(verify=report))
    assert invoke("verify").exit_code == code
    assert "3 servers" in wide.getvalue()
    assert (HOSTILE in wide.getvalue()) == bool(wrong)
    done = invoke("verify", "-f", "json")
    assert (done.exit_code, msgspec.json.decode(done.output)) == (code, report)


class Verdict(msgspec.Struct):
    virt_type: str = "qemu"
    reason: str = f"no KVM here {HOSTILE}"


@pytest.mark.parametrize("works", [True, False])
def test_doctor(monkeypatch: pytest.MonkeyPatch, wide: io.StringIO, works: bool) -> None:
    async def probe(_path: Any) -> Verdict:
        if not works:
            raise HypervisorUnavailable(f"install libvirt {HOSTILE}")
        return Verdict()

    monkeypatch.setattr(doctor_module, "probe", probe)
    monkeypatch.setattr(
        doctor_module, "PROGRAMS", (("sh", "dash", "a shell"), ("no-such-program", "no-such-package", "x"))
    )
    done = invoke("doctor", "-f", "json")
    report = msgspec.json.decode(done.output)
    assert set(report) == {"good", "install", "findings"}
    assert (report["good"], done.exit_code) == (False, 1)
    assert "no-such-package" in report["install"]
    assert "dash" not in report["install"].split()
    found = {finding["what"]: finding for finding in report["findings"]}
    assert set(found["sh"]) == {"what", "good", "note", "needed_for", "package"}
    assert (found["sh"]["good"], found["no-such-program"]["good"], found["a guest"]["good"]) == (True, False, works)
    assert invoke("doctor").exit_code == 1
    assert HOSTILE in wide.getvalue()
    assert "no-such-package" in wide.getvalue()
