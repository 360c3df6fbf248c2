"""Query parameters of the routes, as upstream has them, and since when others are refused; before that they are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

import msgspec

from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.core import errors
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version


class UnknownParameters(errors.BadRequest):
    template = "Additional properties are not allowed ({names} unexpected)"


class Known(msgspec.Struct, frozen=True):
    """`since` this microversion no other parameters are taken; each of `names` is there since its own."""

    since: Version
    names: Mapping[str, Version]


def known(since: str, *names: str, later: Mapping[str, str] | None = None) -> Known:
    """`names` are there from the first version on, those of `later` since their own."""
    own = {name: Version.parse(version) for name, version in (later or {}).items()}
    return Known(Version.parse(since), dict.fromkeys(names, Version(2, 1)) | own)


Parameters = Mapping[str, Known | None]
"""`GET /os-services` → what it knows; None where the handler checks its parameters itself."""
PAGE = ("limit", "marker")
NONE = known("2.102")  # of all other routes that read


def within_parameters(route: Route, parameters: Parameters) -> Route:
    """The route, refusing parameters that are not its own, and with these in documents."""
    default = NONE if route.method == "GET" else None
    its_own = parameters.get(f"{route.method} {route.path.removeprefix(CURRENT)}", default)
    return route if its_own is None or route.public else _refusing(route, its_own)


def _refusing(route: Route, its_own: Known) -> Route:
    handler = route.handler

    @wraps(handler)
    async def checked(call: Call, **params: Any) -> Reply:
        version = call.version
        if version is not None and version >= its_own.since and call.query:
            strange = sorted({n for n in call.query if n not in its_own.names or version < its_own.names[n]})
            if strange:
                names = ", ".join(f"'{name[:60]}'" for name in strange[:5])
                raise UnknownParameters(names=f"{names} {'was' if len(strange) == 1 else 'were'}")
        return await handler(call, **params)

    return msgspec.structs.replace(
        route, handler=checked, query={name: str(version) for name, version in its_own.names.items()}
    )
