"""The URLs of older clients, all served by the routes of v2.1 and their policies: a project's id after the version, and the
versions 2.0 (`/v2`) and 1.1, which know no microversions and take fields that they do not know."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kilonova.core.web.call import LENIENT
from kilonova.core.web.project_urls import PROJECT, ROOT, raw_path
from kilonova.core.web.transport import ASGIApp

CURRENT, LEGACY = "/v2.1", ("/v2", "/v1.1")
PREFIXES = (CURRENT, *LEGACY)
PATH = re.compile(r"(/v2\.1|/v2|/v1\.1)(?:/([0-9A-Za-z_.~-]{1,64}))?(/.*)", re.DOTALL)
OPEN_ENDED = re.compile(r"/[^/]+/.+/", re.DOTALL)
"""A path with a slash at its end, beyond the version: that of an empty id, which upstream does not find."""
NOWHERE = f"{CURRENT}/-"
VERSION_HEADERS = frozenset([b"openstack-api-version", b"x-openstack-nova-api-version"])


class LegacyUrls:
    """Hands requests to the application of v2.1's routes as that knows them. `nouns` are what may follow the version where no
    project does."""

    def __init__(self, app: ASGIApp, nouns: Iterable[str]) -> None:
        self.app, self.nouns = app, frozenset(nouns)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and OPEN_ENDED.fullmatch(scope["path"]):
            scope = scope | {"path": NOWHERE, "raw_path": NOWHERE.encode()}
        place = self._place(scope) if scope["type"] == "http" else None
        if place is None:
            await self.app(scope, receive, send)
            return
        version, project, rest = place
        before = version if project is None else f"{version}/{project}"
        raw = CURRENT.encode() + raw_path(scope)[len(before) :]
        inner = scope | {"path": CURRENT + rest, "raw_path": raw, ROOT: before}
        if project is not None:
            inner[PROJECT] = project
        if version in LEGACY:
            inner |= {"headers": _without_versions(scope["headers"]), LENIENT: True}
            send = _sending_without_versions(send)
        await self.app(inner, receive, send)

    def _place(self, scope: Any) -> tuple[str, str | None, str] | None:
        """(version, project or None, the rest of the path) of an older client's URL, else None."""
        found = PATH.fullmatch(scope["path"])
        if found is None:
            return None
        version, project, rest = found.groups()
        if project in self.nouns:
            project, rest = None, f"/{project}{rest}"
        if project is None and (version == CURRENT or rest == "/"):
            return None
        before = f"{version}/" if project is None else f"{version}/{project}/"
        return (version, project, rest) if raw_path(scope).startswith(before.encode()) else None  # else it is escaped


def _without_versions(headers: Any) -> list[tuple[bytes, bytes]]:
    """A token may come as `X-Auth-Key`, as old clients send it along with the project's name."""
    kept = [(name, value) for name, value in headers if name.lower() not in VERSION_HEADERS]
    names = {name.lower(): value for name, value in kept}
    if b"x-auth-token" not in names and b"x-auth-key" in names:
        kept.append((b"x-auth-token", names[b"x-auth-key"]))
    return kept


def _sending_without_versions(send: Any) -> Callable[[Any], Awaitable[None]]:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            hidden = VERSION_HEADERS | {b"vary"}
            message = message | {"headers": [(k, v) for k, v in message["headers"] if k.lower() not in hidden]}
        await send(message)

    return sending
