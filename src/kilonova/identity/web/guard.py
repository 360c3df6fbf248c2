"""Policy checked against the ids in a route's path."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from kilonova.core.web.app import Handler, Route
from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors

MAX_BODY = 114688  # bytes, as upstream


def guarded(route: Route, object_rules: Container[str]) -> Route:
    """The route with its policy checked against the ids in its path, before its handler runs: what a handler forgets to
    check is refused, not granted. `object_rules` are checked by the handler."""
    rule = route.policy
    if rule is None or rule in object_rules:
        return msgspec.structs.replace(route, max_body=MAX_BODY)
    inner: Handler = route.handler

    async def handler(call: Call, **ids: str) -> Reply:
        if not call.allowed(rule, target_of(ids)):
            raise errors.NotAllowed(action=rule)
        return await inner(call, **ids)

    handler.__name__ = getattr(inner, "__name__", "handler")
    return msgspec.structs.replace(route, handler=handler, max_body=MAX_BODY)


def target_of(ids: dict[str, str]) -> dict[str, Any]:
    """{"user_id": X} → {"user_id": X, "target.user.id": X}, as policy rules name it."""
    target: dict[str, Any] = dict(ids)
    for name, value in ids.items():
        if name.endswith("_id"):
            target[f"target.{name.removesuffix('_id')}.id"] = value
    if "user_id" in ids:
        target["target.credential.user_id"] = ids["user_id"]  # of the EC2 keys below a user
    return target
