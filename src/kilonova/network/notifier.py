"""Events for compute: port plugged, unplugged, deleted, changed."""

from __future__ import annotations

import asyncio

import msgspec

from kilonova.core import errors, log
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.core.web.client import ServiceClient
from kilonova.network.agent.interface import ComputeNotifierAPI, ServerEvent

logger = log.get("network.events")
PAUSE = 1.0  # seconds before compute is asked again
MAX_BATCH = 200


class ComputeEvents:
    """Compute's `os-server-external-events`, on the component's own account. Events that come while a request is under way
    travel together in the next one."""

    def __init__(self, core: Core, *, max_age: float) -> None:
        self._http: ServiceClient = core.client("compute", "/v2.1")
        self._clock: Clock = core.clock
        self.max_age = max_age
        self._waiting: list[tuple[ServerEvent, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def send(self, events: list[ServerEvent]) -> None:
        """Returns when compute has them, does not know their servers, or has been away too long."""
        loop = asyncio.get_running_loop()
        done = [loop.create_future() for _ in events]
        self._waiting += zip(events, done, strict=True)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        await asyncio.gather(*done)

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            await self._deliver([event for event, _ in batch])
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _deliver(self, events: list[ServerEvent]) -> None:
        began = self._clock.monotonic()
        body = {"events": [msgspec.to_builtins(event) for event in events]}
        while True:
            try:
                await self._http.request("POST", "/os-server-external-events", body=body)
            except errors.NotFound:
                logger.info("compute knows none of these servers", servers=sorted({e.server_uuid for e in events}))
            except errors.KilonovaError as error:
                if 400 <= error.status < 500 and error.status != 401:
                    if len(events) > 1:  # one that compute cannot read must not take the others with it
                        for event in events:
                            await self._deliver([event])
                        return
                    logger.warning("compute refused an event", reason=error.message, port=events[0].tag)
                elif self._clock.monotonic() - began < self.max_age:
                    logger.info("compute not reached, events wait", reason=error.message, events=len(events))
                    await self._clock.sleep(PAUSE)
                    continue
                else:
                    logger.error("events given up", reason=error.message, events=len(events))
            return

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, done in self._waiting:
            done.cancel()


class ComputeNotifier(ComputeNotifierAPI):
    def __init__(self, events: ComputeEvents) -> None:
        self._events = events

    async def notify(self, ctx: RequestContext, events: list[ServerEvent]) -> None:
        await self._events.send(events)
