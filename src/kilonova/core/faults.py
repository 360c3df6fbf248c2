"""Fault points: places with a step's name at which a process can be killed, failed or delayed by a setting.

`KILONOVA_FAULTS=step=networking,when=after,do=kill` (several joined by `;`). `when` is before or after; `do` is
kill (SIGKILL to this process), fail, delay:SECONDS, hang or wait:FILE; `count=N` limits how often it strikes (default: 1, for
wait: always); `host=NAME` and `at=METHOD /path` (for the web layer's steps) limit where.

wait:FILE is a gate: open while FILE exists; a process that finds it closed writes its pid to FILE.reached and waits until FILE is
made, two minutes at most. So a test can stop a launch at a step, do anything to any other process, and let the launch continue.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kilonova.core.config import ConfigError

VERBS = ("kill", "fail", "delay", "hang", "wait")
USAGE = "use kill, fail, delay:SECONDS, hang or wait:FILE"
GATE_LIMIT, GATE_LOOK = 120.0, 0.01  # seconds: how long a closed gate holds, how often it is looked at


class InjectedFault(Exception):
    """Raised by a fault point with `do=fail`."""


class FaultRule(msgspec.Struct, forbid_unknown_fields=True):
    step: str
    when: str
    do: str
    host: str | None = None
    at: str | None = None
    count: float = 1

    def __post_init__(self) -> None:
        """Raises ValueError."""
        verb, _, argument = self.do.partition(":")
        fits = {"delay": argument.replace(".", "", 1).isdecimal() or not argument, "wait": bool(argument)}
        if verb not in VERBS or not fits.get(verb, not argument):
            raise ValueError(f"unknown do={self.do}; {USAGE}")
        if self.when not in ("before", "after"):
            raise ValueError(f"unknown when={self.when}; use before or after")


class Faults:
    """The rules of one process; empty in production."""

    def __init__(self, rules: list[FaultRule] | None = None) -> None:
        self.rules = rules or []

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Faults:
        return cls([cls._parse(part) for part in env.get("KILONOVA_FAULTS", "").split(";") if part.strip()])

    @staticmethod
    def _parse(text: str) -> FaultRule:
        try:
            fields = dict(pair.strip().split("=", 1) for pair in text.split(","))
            if fields.get("do", "").startswith("wait:"):
                fields.setdefault("count", "inf")
            return msgspec.convert(fields, FaultRule, strict=False)
        except ValueError as error:
            raise ConfigError(f"KILONOVA_FAULTS: {text!r}: {error}; write step=NAME,when=before,do=kill") from None

    async def point(self, step: str, when: str, *, host: str | None = None, at: str | None = None) -> None:
        """Strike here if a rule names this step and moment."""
        if not self.rules:
            return
        for rule in self.rules:
            if (
                rule.step == step
                and rule.when == when
                and rule.count > 0
                and rule.host in (None, host)
                and rule.at in (None, at)
            ):
                rule.count -= 1
                await self._strike(rule)

    async def _strike(self, rule: FaultRule) -> None:
        verb, _, argument = rule.do.partition(":")
        match verb:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fail":
                raise InjectedFault(f"injected fault {rule.when} step {rule.step}")
            case "delay":
                await asyncio.sleep(float(argument or 1))
            case "hang":
                await asyncio.Event().wait()
            case "wait":
                await _stand_at(Path(argument))


async def _stand_at(gate: Path) -> None:
    for _ in range(int(GATE_LIMIT / GATE_LOOK)):
        if _is_open(gate):
            return
        await asyncio.sleep(GATE_LOOK)


def _is_open(gate: Path) -> bool:
    if gate.exists():
        return True
    note = gate.with_name(gate.name + ".reached")
    if not note.exists():
        note.write_text(str(os.getpid()))
    return False
