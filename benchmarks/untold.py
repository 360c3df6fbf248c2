"""`kilonova up` that tells nothing: no server actions and steps, no recorded decisions and reasons, no log lines.

    python -m benchmarks.untold … up OPTIONS      # whatever stands before `up` is not looked at

For `benchmarks/telling.py` alone: product code has no switch for it. `KILONOVA_UNTOLD` names the parts that are left out
(`actions,steps,decisions,log`; all when it is not set). The agent's journal keeps the lines that open and close a run: without
them a killed process would not find its builds again, so they are not telling.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from kilonova.cli.main import main
from kilonova.compute.agent.journal import Journal
from kilonova.compute.logic.timeline import Timeline
from kilonova.compute.models import Decision, StepRecord
from kilonova.compute.scheduler.plan import Planner
from kilonova.compute.store import actions, conductor_servers, decisions, steps
from kilonova.core import log

RECORD = StepRecord(key="", server_uuid="", request_id="", action="", step="", component="", started_at=None)  # type: ignore[arg-type]


async def _nothing(*_args: Any, **_more: Any) -> int:
    return 0


def _bare(_planner: Planner, _ranked: Any, _lost: Any, chosen: Any, alternates: list[str]) -> Decision:
    return Decision(scheduler="", chosen=chosen.host if chosen is not None else None, alternates=alternates)


def _actions() -> None:
    actions.begin = _nothing  # type: ignore[assignment]
    conductor_servers.finish_actions = _nothing


def _steps() -> None:
    """In memory, in the journal's file, on the bus and in the database."""
    Journal.begin = Journal.end = lambda *_args, **_more: RECORD  # type: ignore[method-assign,assignment]
    Journal.steps = lambda *_: []  # type: ignore[method-assign]
    Timeline.records = lambda *_args, **_more: []  # type: ignore[method-assign]
    Timeline._add = lambda *_: None  # type: ignore[method-assign]
    steps.add = _nothing  # type: ignore[assignment]


def _decisions() -> None:
    Planner._decision = _bare  # type: ignore[method-assign]
    decisions.add = _nothing  # type: ignore[assignment]


def _log() -> None:
    configure = log.configure
    log.configure = lambda **_: configure(level="critical")


PARTS: dict[str, Callable[[], None]] = {"actions": _actions, "steps": _steps, "decisions": _decisions, "log": _log}

if __name__ == "__main__":
    for part in os.environ.get("KILONOVA_UNTOLD", ",".join(PARTS)).split(","):
        PARTS[part]()
    sys.argv = ["kilonova", *sys.argv[sys.argv.index("up") :]]
    main()
