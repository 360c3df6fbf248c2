"""Health of a process, without a token: `/healthcheck/live`, `/healthcheck/ready`, and `/healthcheck`, which is ready's.

Live means that the event loop answers. Ready means that everything this process cannot do without has answered within the
last moments. Replies name what is missing, not why: the reason is in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from kilonova.core import errors, log
from kilonova.core.clock import Clock

Check = Callable[[], Awaitable[object]]
REMEMBERED = 1.0  # seconds for which an answer is reused
TIMEOUT = 2.0  # seconds a check may take
PREFIX = "/healthcheck"
PATHS = ("/", "/live", "/ready")
logger = log.get("health")


class Health:
    """`checks` by what they ask; each raises when it is not there. `state` is starting, serving or draining."""

    def __init__(self, clock: Clock, checks: Mapping[str, Check], *, state: str = "starting") -> None:
        self.clock, self.checks, self.state = clock, checks, state
        self._missing: list[str] = []
        self._asked = float("-inf")
        self._asking: asyncio.Task[list[str]] | None = None

    async def missing(self) -> list[str]:
        """Names of the dependencies that do not answer; concurrent callers share one check."""
        if self.clock.monotonic() - self._asked < REMEMBERED:
            return self._missing
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[str]:
        try:
            answers = await asyncio.gather(*(self._works(name, check) for name, check in self.checks.items()))
        finally:
            self._asking = None
        self._missing = [name for name, works in zip(self.checks, answers, strict=True) if not works]
        self._asked = self.clock.monotonic()
        return self._missing

    async def _works(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT):
                await check()
        except Exception as error:
            reason = error.message if isinstance(error, errors.KilonovaError) else str(error) or type(error).__name__
            logger.warning("dependency not ready", missing=name, reason=reason)
            return False
        return True

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application, to be mounted under PREFIX."""
        path = scope["path"].rstrip("/") or "/"
        if path not in PATHS:
            await reply(scope, send, 404, {"error": "there are /healthcheck, /healthcheck/live and /healthcheck/ready"})
        elif path == "/live":
            await reply(scope, send, 200, {"live": True})
        else:
            missing = [] if self.state == "draining" else await self.missing()
            ready = self.state == "serving" and not missing
            body = {"ready": ready, "state": self.state, "missing": missing}
            await reply(scope, send, 200 if ready else 503, body)


async def reply(scope: Any, send: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
    """A JSON reply of an ASGI application; without its body to HEAD."""
    data = msgspec.json.encode(body)
    sent = {"content-type": "application/json", "content-length": str(len(data))} | dict(headers or {})
    raw = [(name.encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})
