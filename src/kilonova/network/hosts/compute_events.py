"""Events for compute: port plugged, unplugged, deleted, changed."""

from __future__ import annotations

import asyncio

import msgspec

from kilonova.core import errors, log
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.retry import Backoff, retry
from kilonova.core.service import Core
from kilonova.core.web.client import ServiceClient
from kilonova.network.agent.interface import ComputeNotifierAPI, ServerEvent

logger = log.get("network.events")
BACKOFF = Backoff(1.0, 5.0)
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
        """Returns when compute has them, does not know their servers, or was unreachable for too long."""
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
        body = {"events": [msgspec.to_builtins(event) for event in events]}
        servers = sorted({event.server_uuid for event in events})
        try:
            await retry(
                lambda: self._http.request("POST", "/os-server-external-events", body=body), BACKOFF, again=_temporary,
                within=self.max_age, clock=self._clock, log=logger, work="send events to compute", servers=servers,
            )  # fmt: skip
        except errors.NotFound:
            logger.info("event dropped: servers unknown to compute", servers=servers)
        except errors.KilonovaError as error:
            if _temporary(error):
                return  # logged: it gave up
            if len(events) > 1:  # an event that compute refuses must not take the others with it
                for event in events:
                    await self._deliver([event])
            else:
                logger.warning("event refused by compute", reason=error.message, port=events[0].tag)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, done in self._waiting:
            done.cancel()


def _temporary(error: Exception) -> bool:
    """Compute is unreachable or failed, or refuses a token that has just expired."""
    return isinstance(error, errors.KilonovaError) and (not 400 <= error.status < 500 or error.status == 401)


class ComputeNotifier(ComputeNotifierAPI):
    def __init__(self, events: ComputeEvents) -> None:
        self._events = events

    async def notify(self, ctx: RequestContext, events: list[ServerEvent]) -> None:
        await self._events.send(events)
