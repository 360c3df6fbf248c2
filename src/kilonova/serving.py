"""One component as a process: it waits for what it needs, starts, answers health checks, and drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from kilonova.components import SERVICES, Component, core_deps
from kilonova.core import errors, gc_tuning, log
from kilonova.core.faults import Faults
from kilonova.core.retry import Backoff, retry
from kilonova.core.service import Core, Service, WebService, answers
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.health import Check, Health
from kilonova.core.web.server import HttpServer
from kilonova.core.web.transport import HttpTransport
from kilonova.settings import SecretSettings, Settings
from kilonova.shutdown import Shutdown
from kilonova.tls import certificate, verify_context

BACKOFF = Backoff(0.1, 3.0)
LOG_EVERY = 3.0  # seconds between log lines about the same missing dependency
CLOSING = 5.0  # seconds after `drain_timeout` in which connections are closed
AWAY = (errors.ServiceUnavailable, errors.BusError, TimeoutError, OSError)
logger = log.get("serve")


class ComponentProcess:
    """`listener` is bound already: the APIs', or the health's of a component without HTTP. No other process of the
    cloud has this `name`. `supervised` is a worker's: see `Shutdown`."""

    def __init__(
        self, component: Component, settings: Settings, secrets: SecretSettings, listener: socket.socket | None,
        *, name: str, env: Mapping[str, str], supervised: bool = False,
    ) -> None:  # fmt: skip
        self.component, self.settings, self.listener = component, settings, listener
        endpoints = {service: settings.endpoint(service) for service in SERVICES}
        self.transport, self.certificate = HttpTransport(verify=verify_context(settings)), certificate(settings)
        self.deps = core_deps(
            settings,
            secrets,
            self.transport,
            endpoints,
            Faults.from_env(env),
            name=name,
            alone=False,
            on_host=component.on_host,
        )
        self.core: Core = self.deps.core
        self.services = component.build(self.deps)
        self.health = Health(self.core.clock, self._checks())
        self.app = Gateway({})
        for service in self.services:
            if isinstance(service, WebService):
                self.app.mount_service(service)
        self.app.watch(self.health)
        self._started: list[Service] = []
        self.shutdown = Shutdown(component.name, supervised=supervised)

    def _checks(self) -> dict[str, Check]:
        checks = self.core.checks()
        if "bus" not in self.component.needs:
            del checks["bus"]
        if "identity" in self.component.needs:
            checks["identity"] = self._identity_answers
        return checks

    async def _identity_answers(self) -> None:
        url = self.core.endpoints["identity"] + "/"
        async with self.transport.send("GET", url, {}, b"") as answer:
            await answer.read()
            if answer.status >= 500:
                raise errors.ServiceUnavailable(reason=f"{url} answers {answer.status}")

    async def run(self) -> None:
        """Returns after SIGTERM, when all is drained; a second one ends the process at once."""
        self.shutdown.listen()
        server, serving = self._listen()
        starting = asyncio.ensure_future(self._start())
        asked = asyncio.ensure_future(self.shutdown.asked.wait())
        try:
            await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                await starting
                gc_tuning.settle()
                self.health.state = "serving"
                logger.info("serving", component=self.component.name, pid=os.getpid())
            await self.shutdown.asked.wait()
        finally:
            asked.cancel()
            await self._drain(starting, server, serving)
            self.shutdown.done()

    def _listen(self) -> tuple[HttpServer | None, asyncio.Task[None] | None]:
        if self.listener is None:
            return None, None
        server = HttpServer(
            self.app, drain_timeout=self.settings.serve.drain_timeout, limits=self.settings.serve.limits,
            certificate=self.certificate, websockets=self.app.websockets,
        )  # fmt: skip
        return server, asyncio.ensure_future(server.serve(sockets=[self.listener]))

    # ---- start

    async def _start(self) -> None:
        core = self.core
        await self._until("the message broker", self.settings.bus.url, core.bus.open)
        for database in core.databases:
            await self._until(f"the {database.name} database", str(database.url), partial(answers, database))
        if "identity" in self.component.needs:
            await self._until("identity", core.endpoints["identity"], core.tokens.token)
        for service in self.services:
            self._started.append(service)
            await self._until(f"the dependencies of {type(service).__name__}", "", partial(_begin, service))

    async def _until(self, what: str, where: str, ask: Callable[[], Awaitable[object]]) -> None:
        """Retry until it answers, with a log line every few seconds."""
        await retry(
            ask, BACKOFF, again=_away, clock=self.core.clock, log=logger, log_every=LOG_EVERY, work=f"connect to {what}",
            at=where, component=self.component.name,
        )  # fmt: skip

    # ---- end

    async def _drain(
        self, starting: asyncio.Task[None], server: HttpServer | None, serving: asyncio.Task[None] | None
    ) -> None:
        """Not ready any more; then no new connections and messages; what is in flight ends, or is handed back."""
        serve, clock = self.settings.serve, self.core.clock
        was_serving, self.health.state = self.health.state == "serving", "draining"
        if server is not None and self.component.port is not None:
            server.drain()
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
        if was_serving and self.component.port is not None:
            await clock.sleep(serve.drain_notice)  # load balancers stop sending requests first
        until = clock.monotonic() + serve.drain_timeout
        if self.component.port is not None:
            await _close(server, serving)
        while self._started:
            await self._end(self._started.pop(), until - clock.monotonic())
        await self.core.bus.close()
        await self.core.cache.close()
        await self.core.notifier.close()
        if self.component.port is None:
            await _close(server, serving)
        await self.transport.close()

    async def _end(self, service: Service, left: float) -> None:
        """Stop a service; when it takes too long its messages go back to the broker."""
        try:
            async with asyncio.timeout(max(left, 0) + CLOSING):
                await service.stop()
        except TimeoutError:
            logger.warning(
                "drain timed out: returning unfinished messages to the broker", service=type(service).__name__
            )
            await self.core.bus.close()
        except Exception as error:
            logger.error("stop failed", service=type(service).__name__, exc_info=error)


def _away(error: Exception) -> bool:
    return isinstance(error, AWAY)


async def _begin(service: Service) -> None:
    """Start a service; one that could not is stopped again, so that the next try finds nothing half done."""
    try:
        await service.start()
    except AWAY:
        with contextlib.suppress(Exception):
            await service.stop()
        raise


async def _close(server: HttpServer | None, serving: asyncio.Task[None] | None) -> None:
    if server is not None and serving is not None:
        server.should_exit = True
        await serving
