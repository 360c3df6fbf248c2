"""A service's HTTP application, made from its route table.

    ROUTES = [Route("GET", "/servers/{server_id:str}", servers.show, policy="os_compute_api:servers:show"), …]

A route without a policy is refused when the application is built, unless it says `public=True`. The order on the way in:
request id, microversion, token, policy, handler; whatever goes wrong comes out in the service's own error format.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from kilonova.core import errors, log
from kilonova.core.clock import Clock
from kilonova.core.faults import Faults
from kilonova.core.grants import HEADER as GRANT
from kilonova.core.grants import Grants
from kilonova.core.policy import Policy
from kilonova.core.web import openapi
from kilonova.core.web.auth import Authenticator, read_identity
from kilonova.core.web.call import Call, ClientGone, Reply
from kilonova.core.web.declarations import declaration_of
from kilonova.core.web.errors import ErrorFormat
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.target import check_text
from kilonova.core.web.wire import Version, encode

logger = log.get("web")
DEFAULT_MAX_BODY = 1 << 20
Handler = Callable[..., Awaitable[Reply]]
Endpoint = Callable[[Request[Any, Any, Any]], Awaitable[Response[Any]]]


class Route(msgspec.Struct, frozen=True):
    """One method of one path. Path parameters reach the handler by name after the Call: `{server_id:str}`.

    `status` is the reply's when the handler names none; `max_body` caps the body in bytes (None: the handler streams it);
    `public` routes are answered without a token (a valid one is still read). `since`/`until` are microversions outside
    of which the route does not exist. `body` and `reply` are the shapes (a Struct, or a union of them) of what is sent and of
    what is answered, None where there is none; `summary` says in one line what the route does; `query` are the parameters after
    the `?`, each with the microversion since which it is there. Documents are made of the four.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    path: str
    handler: Handler
    policy: str | None = None
    status: int = 200
    public: bool = False
    max_body: int | None = DEFAULT_MAX_BODY
    since: str | None = None
    until: str | None = None
    body: Any = None
    reply: Any = None
    summary: str = ""
    query: Mapping[str, str] = {}


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """What all routes of a service share. `prefix` is the service's path on a shared port, e.g. `/compute`; a `documented`
    one answers with its OpenAPI document at `<prefix>/openapi.json`, and tests compare its routes with what they declare.
    `other_method` answers a method that a path does not have."""

    name: str
    prefix: str
    error_format: ErrorFormat
    authenticator: Authenticator
    policy: Policy
    clock: Clock
    identity_url: str
    faults: Faults = msgspec.field(default_factory=Faults)
    grants: Grants = msgspec.field(default_factory=Grants)
    microversions: Microversions | None = None
    default_policy_check: bool = True
    documented: bool = True
    other_method: type[errors.KilonovaError] = errors.MethodNotAllowed


class RouteWithoutPolicy(Exception):
    """A route table is wrong: every route needs a policy that is defined, or `public=True`."""


class RouteTwice(Exception):
    """A route table is wrong: it has two routes for one method of one path."""


def build_app(web: Web, routes: list[Route]) -> Litestar:
    """The service's ASGI application."""
    for route in routes:
        if route.policy is None and not route.public:
            raise RouteWithoutPolicy(f"{web.name}: {route.method} {route.path} has no policy")
        if route.policy is not None and route.policy not in web.policy.names:
            raise RouteWithoutPolicy(f"{web.name}: {route.method} {route.path}: no rule {route.policy}")
    every = [*routes, *(_document_routes(web, routes) if web.documented else ())]
    return Litestar(
        route_handlers=_http_handlers(web, every),
        exception_handlers={Exception: lambda request, error: _error_reply(web, request, error)},
        openapi_config=None,
        request_max_body_size=None,
        logging_config=None,
        debug=False,
    )


def _document_routes(web: Web, routes: list[Route]) -> list[Route]:
    """The OpenAPI document, made when it is asked for first."""
    made: list[bytes] = []

    async def show(call: Call) -> Reply:
        if not made:
            made.append(await asyncio.to_thread(lambda: msgspec.json.encode(openapi.document(web, routes))))
        if call.request.method == "HEAD":
            return Reply(headers={"content-type": "application/json", "content-length": str(len(made[0]))})
        return Reply(made[0])

    return [
        Route("GET", openapi.PATH, show, public=True, reply=dict[str, Any], summary="Show this document."),
        Route("HEAD", openapi.PATH, show, public=True, summary="Show how long this document is."),
    ]


def _http_handlers(web: Web, routes: list[Route]) -> list[HTTPRouteHandler]:
    """One for each path: whenever a path gets another handler, Litestar works through all of its handlers again."""
    paths: defaultdict[str, list[Route]] = defaultdict(list)
    for route in routes:
        paths[route.path].append(route)
    return [_http_handler(web, path, of_path) for path, of_path in paths.items()]


def _http_handler(web: Web, path: str, routes: list[Route]) -> HTTPRouteHandler:
    endpoints: dict[str, Endpoint] = {route.method: _endpoint(web, route) for route in routes}
    if len(endpoints) < len(routes):
        raise RouteTwice(f"{web.name}: {path} has several routes for one method")

    async def endpoint(request: Request[Any, Any, Any]) -> Response[Any]:
        return await endpoints[request.method](request)

    # 200 here only satisfies Litestar's check of bodiless codes; the Response carries the real status
    methods = [route.method for route in routes]
    handler = HTTPRouteHandler(path, http_method=methods, status_code=200, request_max_body_size=None)
    return handler(endpoint)


def _endpoint(web: Web, route: Route) -> Endpoint:
    low = Version.parse(route.since) if route.since else None
    high = Version.parse(route.until) if route.until else None
    place = f"{route.method} {web.prefix}{route.path}"
    declaration = declaration_of(web, route, place)
    make_call: Callable[..., Call] = Call if declaration is None else declaration.call

    async def endpoint(request: Request[Any, Any, Any]) -> Response[Any]:
        check_text(request.scope)
        version = web.microversions.negotiate(request.headers) if web.microversions else None
        request.scope["kilonova_version"] = version  # type: ignore[typeddict-unknown-key]
        if version is not None and ((low and version < low) or (high and version > high)):
            raise errors.NotFound
        received = web.clock.now()
        await web.faults.point("authenticate", "before", at=place)
        ctx = await read_identity(
            request.headers, web.authenticator, _request_id(web, request),
            required=not route.public, identity_url=web.identity_url)  # fmt: skip
        authenticated = web.clock.now()
        if ctx.is_host and (signed := request.headers.get(GRANT)):
            ctx = msgspec.structs.replace(ctx, grant=web.grants.read(signed, authenticated.timestamp()))
        await web.faults.point("authenticate", "after", at=place)
        await web.faults.point("authorize", "before", at=place)
        if route.policy is not None and web.default_policy_check:
            web.policy.enforce(ctx, route.policy)
        await web.faults.point("authorize", "after", at=place)
        cap = route.max_body if route.max_body is not None else DEFAULT_MAX_BODY
        times = (received, authenticated, web.clock.now())
        call = make_call(request, ctx, web.policy, route.policy, version, cap, web.prefix, times)
        reply = await route.handler(call, **request.path_params)
        if declaration is not None:
            declaration.check_reply(call, reply, version)
        return _reply(web, request, reply, reply.status or route.status, version)

    return endpoint


def _request_id(web: Web, request: Request[Any, Any, Any]) -> str:
    """Our own id of the request, one for its whole life."""
    known = request.scope.get("kilonova_request_id")
    if known is None:
        known = "req-" + web.clock.uuid()
        request.scope["kilonova_request_id"] = known  # type: ignore[typeddict-unknown-key]
    return str(known)


def _common_headers(web: Web, request: Request[Any, Any, Any]) -> dict[str, str]:
    request_id = _request_id(web, request)
    headers = {"x-openstack-request-id": request_id}
    if web.microversions is not None:
        headers["x-compute-request-id"] = request_id
        version = request.scope.get("kilonova_version")
        if isinstance(version, Version):
            headers |= web.microversions.reply_headers(version)
    return headers


def _reply(
    web: Web, request: Request[Any, Any, Any], reply: Reply, status: int, version: Version | None
) -> Response[Any]:
    headers = _common_headers(web, request) | reply.headers
    if isinstance(reply.body, AsyncIterator):
        return Stream(reply.body, status_code=status, headers=headers, media_type=reply.content_type)
    content = (
        reply.body if isinstance(reply.body, bytes) else b"" if reply.body is None else encode(reply.body, version)
    )
    if reply.body is None:
        return Response(b"", status_code=status, headers=headers)
    return Response(content, status_code=status, headers=headers, media_type=reply.content_type)


def _error_reply(web: Web, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    known = _known(error)
    if isinstance(known, errors.MethodNotAllowed):
        known = web.other_method()
    if isinstance(error, ClientGone):
        logger.debug("client disconnected", service=web.name, path=request.url.path)
    if known.status >= 500 and known.status != 501 and not isinstance(error, errors.ServiceUnavailable):
        logger.error("request failed", service=web.name, path=request.url.path, exc_info=error)
    body, content_type = web.error_format(known, _request_id(web, request), request.headers.get("accept", ""))
    headers = _common_headers(web, request) | known.headers
    return Response(body, status_code=known.status, headers=headers, media_type=content_type)


def _known(error: Exception) -> errors.KilonovaError:
    if isinstance(error, errors.PeerAway):
        logger.warning("another service is unreachable", reason=error.message)
        return errors.ServiceUnavailable(reason="another service did not answer", headers=error.headers)
    if isinstance(error, errors.KilonovaError):
        # what the bus says names hosts and other components' inside: for logs, not for clients
        return errors.KilonovaError() if isinstance(error, errors.BusError | errors.RemoteError) else error
    if isinstance(error, RecursionError):
        return errors.BadRequest("The request is nested too deeply.")
    if isinstance(error, HTTPException):
        kinds = {404: errors.NotFound, 405: errors.MethodNotAllowed, 413: errors.TooLarge}
        kind = kinds.get(error.status_code)
        if kind is errors.TooLarge:
            return errors.TooLarge(limit=0)
        if kind is not None:
            return kind()
        if error.status_code < 500:
            return errors.BadRequest(str(error.detail))
    return errors.KilonovaError()
