"""A whole cloud in one process: one port, all services and the agents of its hosts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from kilonova import secrets_file
from kilonova.bootstrap import bootstrap
from kilonova.components import SERVICES, all_in_one, core_deps
from kilonova.core import folders, log
from kilonova.core.clock import Clock
from kilonova.core.faults import Faults
from kilonova.core.service import Service, WebService
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.health import Health
from kilonova.core.web.transport import AsgiTransport
from kilonova.settings import Settings

logger = log.get("up")


class Cloud:
    """Everything, started and stopped in order. `app` answers on the one port."""

    def __init__(self, settings: Settings, *, env: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        folders.settle(settings.state_dir)
        self.secrets = secrets_file.settle(settings.state_dir, settings.secrets, Clock())
        self.app = Gateway({})
        self.deps = core_deps(
            settings,
            self.secrets,
            AsgiTransport(self.app),
            {name: f"{settings.local_url}/{name}" for name in SERVICES},
            Faults.from_env(os.environ if env is None else env),
            name=f"{settings.host}:up:{settings.cloud.port}",
            alone=True,
        )
        self.core = self.deps.core
        self.services = all_in_one(self.deps)
        self._started: list[Service] = []
        for service in self.services:
            if isinstance(service, WebService):
                self.app.mount_service(service)
        self.health = Health(self.core.clock, self.core.checks(), state="serving")
        self.app.watch(self.health)

    async def start(self) -> None:
        """Start all in order; what was started is stopped again when one fails."""
        try:
            await self.core.bus.open()
            for service in self.services:
                self._started.append(service)
                await service.start()
                if service is self.deps.identity:
                    await bootstrap(self.deps.identity, self.settings, self.secrets)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop in reverse order; guests keep running."""
        while self._started:
            service = self._started.pop()
            try:
                async with asyncio.timeout(self.settings.serve.drain_timeout):
                    await service.stop()
            except Exception as error:  # the others are stopped all the same
                logger.error("stop failed", service=type(service).__name__, exc_info=error)
        await self.core.bus.close()
        await self.core.cache.close()
        await self.core.notifier.close()
