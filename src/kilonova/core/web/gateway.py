"""Several services behind one port: the first path segment picks the application."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core.web.transport import ASGIApp


class Gateway:
    """`apps` maps prefixes (`/compute`) to applications, which see paths without their prefix."""

    def __init__(self, apps: dict[str, ASGIApp]) -> None:
        self.apps = apps

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope["path"]
        slash = path.find("/", 1)
        prefix = path if slash < 0 else path[:slash]
        app = self.apps.get(prefix)
        if app is None:
            await self._index(scope, send)
            return
        inner = dict(scope)
        inner["path"] = path[len(prefix) :] or "/"
        if scope.get("raw_path"):
            inner["raw_path"] = scope["raw_path"][len(prefix) :] or b"/"
        await app(inner, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _index(self, scope: Any, send: Any) -> None:
        found = scope["path"] == "/"
        body = msgspec.json.encode({"services": sorted(self.apps)} if found else {"error": "no such service"})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})
