"""The volume agent's bus side. What it has to do is on the conductor's list until it is reported: an agent that starts asks
for it. Works of one volume wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from kilonova.core import log
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.errors import KilonovaError
from kilonova.core.retry import Backoff, always, retry
from kilonova.volume.agent.backend import WORKS, Backend, reason_of
from kilonova.volume.agent.interface import VolumeAgentAPI
from kilonova.volume.backends.driver import Connector, StoredVolume
from kilonova.volume.backends.errors import BackendError
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.errors import BackendRefused, InvalidInput
from kilonova.volume.models import Order, Outcome, service_of

T = TypeVar("T")
BACKOFF = Backoff(0.2, 5.0)
DISCARD_BACKOFF = Backoff(1.0, 60.0)
logger = log.get("volume")


class VolumeAgentManager(VolumeAgentAPI):
    """`backends` by HOST@BACKEND; `host` is the machine's name."""

    def __init__(self, host: str, backends: Mapping[str, Backend], conductor: VolumeConductorAPI, clock: Clock) -> None:
        self.host, self.backends, self.conductor, self.clock = host, backends, conductor, clock
        self.running: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, ctx: RequestContext, order: Order) -> None:
        if order.task_id not in self.running:
            task = asyncio.ensure_future(self._run(ctx, order))
            self.running[order.task_id] = task
            task.add_done_callback(lambda _: self.running.pop(order.task_id, None))

    async def drain(self, grace: float) -> None:
        """Wait for what runs; what takes longer is cut off, and taken up by the next start."""
        if self.running:
            await asyncio.wait(list(self.running.values()), timeout=grace)
        for task in list(self.running.values()):
            task.cancel()
        await asyncio.gather(*self.running.values(), return_exceptions=True)

    async def _run(self, ctx: RequestContext, order: Order) -> None:
        backend = self.backends.get(service_of(order.pool))
        async with self._held(order.volume_id, order.source_id):
            if not await self._ask(lambda: self.conductor.task_wanted(ctx, self.host, order.task_id, order.pool)):
                logger.info("no longer wanted", work=order.work, volume=order.volume_id)
                return
            outcome = await self._done(backend, order)
            accepted = await self._ask(lambda: self.conductor.task_ended(ctx, outcome))
            if not accepted and outcome.ok and order.work == "create_volume" and backend is not None:
                await self._discard(backend, order)

    async def _done(self, backend: Backend | None, order: Order) -> Outcome:
        outcome = Outcome(
            task_id=order.task_id, host=self.host, ok=True, volume_id=order.volume_id, pool=order.pool
        )  # fmt: skip
        work = WORKS.get(order.work)
        if backend is None or work is None:
            return msgspec.structs.replace(
                outcome, ok=False, code="away", text=f"no such back end or work: {order.pool}, {order.work}"
            )
        try:
            outcome.facts = await work(backend, order) or {}
        except Exception as error:
            known = isinstance(error, BackendError | KilonovaError)
            logger.warning(
                "work failed", work=order.work, volume=order.volume_id, pool=order.pool, error=str(error),
                exc_info=None if known else error,
            )  # fmt: skip
            code, elsewhere = reason_of(error)
            if order.work == "create_volume":
                await self._discard(backend, order)
            return msgspec.structs.replace(outcome, ok=False, code=code, elsewhere=elsewhere, text=str(error))
        return outcome

    async def _discard(self, backend: Backend, order: Order) -> None:
        """What is half made, or not wanted any more, goes."""
        try:
            await retry(
                lambda: backend.driver.delete(order.volume_id), DISCARD_BACKOFF, again=always, limit=5, clock=self.clock,
                log=logger, work="remove a volume that is not wanted", volume=order.volume_id,
            )  # fmt: skip
        except Exception as error:
            logger.error("volume left at its back end", volume=order.volume_id, pool=order.pool, error=str(error))

    async def connect(
        self, ctx: RequestContext, pool: str, volume_id: str, attachment_id: str, connector: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            wanted = msgspec.convert(connector, Connector)
        except msgspec.ValidationError as error:
            raise InvalidInput(reason=f"connector: {error}") from None
        async with self._held(volume_id):
            info = await self._asked(pool, lambda backend: backend.driver.connect(volume_id, attachment_id, wanted))
        return {"driver_volume_type": info.driver_volume_type, "data": info.data}

    async def disconnect(self, ctx: RequestContext, pool: str, volume_id: str, attachment_id: str) -> None:
        async with self._held(volume_id):
            await self._asked(pool, lambda backend: backend.driver.disconnect(volume_id, attachment_id))

    async def inventory(self, ctx: RequestContext, pool: str) -> list[StoredVolume]:
        return await self._asked(pool, lambda backend: backend.driver.volumes())

    async def _asked(self, pool: str, ask: Callable[[Backend], Awaitable[T]]) -> T:
        backend = self.backends.get(service_of(pool))
        if backend is None:
            raise BackendRefused(reason=f"this machine has no back end {pool}")
        try:
            return await ask(backend)
        except BackendError as error:
            raise BackendRefused(reason=str(error)) from None

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Call the conductor until it answers; its methods are idempotent."""
        return await retry(
            ask, BACKOFF, again=always, clock=self.clock, log=logger, work="ask the volume conductor", host=self.host
        )

    @asynccontextmanager
    async def _held(self, *volume_ids: str | None) -> AsyncIterator[None]:
        """These volumes are nothing else's meanwhile; always in the same order, so that two do not wait for each other."""
        async with AsyncExitStack() as stack:
            for key in sorted({key for key in volume_ids if key is not None}):
                await stack.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
            yield
