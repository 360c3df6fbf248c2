"""The API's part of a launch's timeline: when each step began and ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kilonova.compute.models import StepRecord
from kilonova.core.clock import Clock
from kilonova.core.faults import Faults


class Timeline:
    """Steps one after the other; `times` are the moments the web layer knows: received, authenticated, authorized."""

    def __init__(self, clock: Clock, times: tuple[dt.datetime, ...] = (), faults: Faults | None = None) -> None:
        self.clock, self.faults = clock, faults or Faults()
        self.steps: list[tuple[str, dt.datetime, dt.datetime]] = []
        self._last = times[0] if times else clock.now()
        for step, moment in zip(("authenticate", "authorize"), times[1:], strict=False):
            self._add(step, moment)

    def copy(self) -> Timeline:
        """A timeline that continues from here: the rest may have to be done again."""
        other = Timeline(self.clock, faults=self.faults)
        other.steps, other._last = [*self.steps], self._last
        return other

    def _add(self, step: str, moment: dt.datetime) -> None:
        self.steps.append((step, self._last, moment))
        self._last = moment

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """A step that begins when the last one ended."""
        await self.faults.point(name, "before")
        yield
        self._add(name, self.clock.now())
        await self.faults.point(name, "after")

    def handed_over(self) -> None:
        """The message is part of the transaction that is about to be committed; the outbox has its fault points."""
        self._add("hand_over", self.clock.now())

    def records(self, server_uuid: str, request_id: str, action: str = "create") -> list[StepRecord]:
        return [
            StepRecord(
                key=f"{server_uuid}:{request_id}:{step}", server_uuid=server_uuid, request_id=request_id, action=action,
                step=step, component="api", started_at=began, finished_at=ended, result="Success")
            for step, began, ended in self.steps
        ]  # fmt: skip
