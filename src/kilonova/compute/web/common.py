"""What several nouns' handlers share: links, query parameters, version comparison."""

from __future__ import annotations

import datetime as dt
from functools import wraps
from typing import Any

import msgspec

from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.web.fields import Link
from kilonova.compute.web.legacy_urls import CURRENT, PROJECT, ROOT
from kilonova.core import errors
from kilonova.core.clock import naive, parse_iso
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version


class InvalidQuery(errors.BadRequest):
    template = "Invalid input for query parameters {name}. Value: {value}."


def root(call: Call) -> str:
    """What came before the collection in the request's path: the version, and the project where the URL names it."""
    return str(call.request.scope.get(ROOT, CURRENT))


def at_least(call: Call, version: str) -> bool:
    return call.version is not None and call.version >= Version.parse(version)


def links(call: Call, collection: str, item: str) -> list[Link]:
    href = f"{call.base_url}{root(call)}/{collection}/{item}"
    return [Link(rel="self", href=href), *bookmark(call, collection, item)]


def of_server(route: Route, servers: ServerLogic) -> Route:
    """The route, its rule checked against the server's project and user."""
    handler = route.handler

    @wraps(handler)
    async def checked(call: Call, *, server_id: str, **params: Any) -> Reply:
        row = await servers.get(call.ctx, server_id, deleted=True)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        return await handler(call, server_id=server_id, **params)

    return msgspec.structs.replace(route, handler=checked) if "{server_id:str}" in route.path else route


def bookmark(call: Call, collection: str, item: str) -> list[Link]:
    project = call.request.scope.get(PROJECT)
    place = f"{collection}/{item}" if project is None else f"{project}/{collection}/{item}"
    return [Link(rel="bookmark", href=f"{call.base_url}/{place}")]


def number(call: Call, name: str, default: int = 0) -> int:
    """A natural number of the query."""
    text = call.query.get(name)
    if text is None:
        return default
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise InvalidQuery(name=name, value=text)
    return int(text)


def flag(text: str) -> bool:
    """A boolean as query parameters have it; raises ValueError."""
    value = text.lower()
    if value in ("1", "true", "t", "yes", "y", "on"):
        return True
    if value in ("0", "false", "f", "no", "n", "off", ""):
        return False
    raise ValueError(text)


def moment(call: Call, name: str) -> dt.datetime | None:
    """A time of the query, as rows hold it."""
    text = call.query.get(name)
    if text is None:
        return None
    try:
        return naive(parse_iso(text.replace(" ", "+")))
    except ValueError:
        raise InvalidQuery(name=name, value=text) from None
