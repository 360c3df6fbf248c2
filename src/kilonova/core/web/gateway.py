"""Several services behind one port: the first path segment picks the application."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kilonova.core.web.health import PREFIX, Health, reply
from kilonova.core.web.target import is_dotted
from kilonova.core.web.transport import ASGIApp

if TYPE_CHECKING:
    from kilonova.core.service import WebService

DOTTED = {"error": {"code": 400, "title": "Bad Request", "message": "The path has segments '.' or '..'."}}
STARTING = {"error": {"code": 503, "title": "Service Unavailable", "message": "The service is starting."}}


class Gateway:
    """`apps` maps prefixes (`/compute`) to applications, which see paths without their prefix; `roots` maps
    those under which one is reached beside its own, by the whole path."""

    def __init__(self, apps: dict[str, ASGIApp]) -> None:
        self.apps = apps
        self.roots: dict[str, ASGIApp] = {}
        self.websockets: set[str] = set()
        self.health: Health | None = None

    def mount(self, prefix: str, app: ASGIApp, roots: Iterable[str] = ()) -> None:
        self.apps[prefix] = app
        self.roots |= dict.fromkeys(roots, app)

    def mount_service(self, service: WebService) -> None:
        """Under its prefix; the service may have `roots` too, and say that it takes `websockets`."""
        self.mount(service.prefix, service.app, getattr(service, "roots", ()))
        if getattr(service, "websockets", False):
            self.websockets.add(service.prefix)

    def watch(self, health: Health) -> None:
        """Answer for the health too; while it is `starting`, the services are behind a 503."""
        self.health = health
        self.apps[PREFIX] = health.app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        path: str = scope["path"]
        if scope["type"] == "websocket" and not self._takes_websockets(path):
            await send({"type": "websocket.close"})
            return
        if is_dotted(path):
            await reply(scope, send, 400, DOTTED)
            return
        slash = path.find("/", 1)
        prefix = path if slash < 0 else path[:slash]
        if self.health is not None and self.health.state == "starting" and prefix != PREFIX:
            await reply(scope, send, 503, STARTING, {"retry-after": "2"})
            return
        app = self.apps.get(prefix)
        if app is None and prefix in self.roots:
            await self.roots[prefix](scope, receive, send)
            return
        if app is None:
            await self._index(scope, send)
            return
        inner = dict(scope)
        inner["kilonova_path"] = path  # what a client signed
        inner["path"] = path[len(prefix) :] or "/"
        if scope.get("raw_path"):
            inner["raw_path"] = scope["raw_path"][len(prefix) :] or b"/"
        await app(inner, receive, send)

    def _takes_websockets(self, path: str) -> bool:
        serving = self.health is None or self.health.state == "serving"
        return serving and not is_dotted(path) and f"/{path.split('/', 2)[1]}" in self.websockets

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _index(self, scope: Any, send: Any) -> None:
        if scope["path"] == "/":
            await reply(scope, send, 200, {"services": sorted(self.apps.keys() - {PREFIX})})
        else:
            await reply(scope, send, 404, {"error": "no such service"})
