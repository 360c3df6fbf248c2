"""Fault points: places with a step's name where anyone can kill, fail or delay a process from outside.

`KILONOVA_FAULTS=step=networking,when=after,do=kill` (several joined by `;`). `when` is before or after; `do` is
kill (SIGKILL to this process), fail, delay:SECONDS or hang; `count=N` limits how often it strikes (default: 1); `host=NAME`
and `at=METHOD /path` (for the web layer's steps) limit where.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

import msgspec

from kilonova.core.config import ConfigError

VERBS = ("kill", "fail", "delay", "hang")


class InjectedFault(Exception):
    """Raised by a fault point with `do=fail`."""


class FaultRule(msgspec.Struct, forbid_unknown_fields=True):
    step: str
    when: str
    do: str
    host: str | None = None
    at: str | None = None
    count: int = 1


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
            rule = msgspec.convert(fields, FaultRule, strict=False)
        except ValueError as error:
            raise ConfigError(f"KILONOVA_FAULTS: {text!r}: {error}; write step=NAME,when=before,do=kill") from None
        verb, _, amount = rule.do.partition(":")
        if verb not in VERBS or (amount and (verb != "delay" or not amount.replace(".", "", 1).isdecimal())):
            raise ConfigError(f"KILONOVA_FAULTS: unknown do={rule.do}; use kill, fail, delay:SECONDS or hang")
        if rule.when not in ("before", "after"):
            raise ConfigError(f"KILONOVA_FAULTS: unknown when={rule.when}; use before or after")
        return rule

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
        verb, _, amount = rule.do.partition(":")
        match verb:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fail":
                raise InjectedFault(f"injected fault {rule.when} step {rule.step}")
            case "delay":
                await asyncio.sleep(float(amount or 1))
            case "hang":
                await asyncio.Event().wait()
            case _:
                raise ValueError(f"KILONOVA_FAULTS: unknown do={rule.do}; use kill, fail, delay:SECONDS or hang")
