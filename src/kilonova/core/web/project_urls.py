"""URLs with a project's id after the version, `/v3/PROJECT/volumes`, served by the routes without it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import wraps
from typing import Any

import msgspec

from kilonova.core import errors
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.transport import ASGIApp

ROOT, PROJECT = "kilonova_root", "kilonova_url_project"
"""Keys of a request's scope: what its URL begins with, and the project that this names."""


class ForeignUrl(errors.BadRequest):
    template = "Malformed request URL: URL's project_id '{named}' doesn't match Context's project_id '{project_id}'"


class ProjectUrls:
    """Hands requests of `version` (`/v3`) to the application of the routes as that knows them."""

    def __init__(self, app: ASGIApp, version: str) -> None:
        self.app, self.version = app, version
        self.path = re.compile(rf"{version}/([0-9a-fA-F-]{{32,36}})(/.*)", re.DOTALL)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = self.path.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is not None:
            project, rest = found.groups()
            before = f"{self.version}/{project}"
            raw = self.version.encode() + raw_path(scope)[len(before) :]
            scope = scope | {"path": self.version + rest, "raw_path": raw, ROOT: before, PROJECT: project}
        if scope["type"] == "http" and scope["path"].endswith("/") and scope["path"].count("/") > 2:
            scope = scope | {
                "path": scope["path"] + "-",
                "raw_path": raw_path(scope) + b"-",
            }  # an id that was forgotten
        await self.app(scope, receive, send)


def raw_path(scope: Any) -> bytes:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw


def nouns_of(routes: Iterable[Route], version: str) -> set[str]:
    """What follows the version in these routes."""
    return {route.path.split("/")[2] for route in routes if route.path.startswith(f"{version}/")}


def within_project(route: Route) -> Route:
    """The route, refused where the URL names another project than the token's."""
    handler = route.handler

    @wraps(handler)
    async def checked(call: Call, **params: Any) -> Reply:
        named = call.request.scope.get(PROJECT)
        if named is not None and named not in (call.ctx.project_id, call.ctx.project_name):
            raise ForeignUrl(named=named, project_id=call.ctx.project_id)
        return await handler(call, **params)

    return route if route.public else msgspec.structs.replace(route, handler=checked)
