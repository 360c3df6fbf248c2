"""One HTTP request as a handler sees it, and the reply it gives."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.policy import Policy
from kilonova.core.web import json_text
from kilonova.core.web.validation_errors import violation_of
from kilonova.core.web.wire import Version, at_version

T = TypeVar("T")
LENIENT = "kilonova_lenient"  # a key of the request's scope
JSON_TYPE = re.compile(r"^application/(\S+[+-])?json(-patch)?$")


class Reply(msgspec.Struct):
    """What a handler answers. `body` is a Struct or plain data for JSON, bytes as they are, or a stream of bytes;
    `status` None means the route's own."""

    body: Any = None
    status: int | None = None
    headers: dict[str, str] = {}
    content_type: str = "application/json"


class MalformedBody(errors.BadRequest):
    template = "Malformed request body: {reason}"


class ClientGone(errors.BadRequest):
    template = "The connection was closed before the whole body had come."


class InvalidInput(errors.BadRequest):
    template = "Invalid input: {reason}"


class Call:
    """A request that passed authentication and its route's policy."""

    def __init__(
        self, request: Request[Any, Any, Any], ctx: RequestContext, policy: Policy | None, rule: str | None,
        version: Version | None, max_body: int, prefix: str, times: tuple[dt.datetime, ...] = (),
    ) -> None:  # fmt: skip
        self.times = times  # when the request was received, authenticated, authorized
        self.request, self.ctx, self.version = request, ctx, version
        self._policy, self._rule, self._max_body, self._prefix = policy, rule, max_body, prefix

    @property
    def headers(self) -> Any:
        return self.request.headers

    @property
    def query(self) -> Any:
        """The query parameters, a multi-dict of text."""
        return self.request.query_params

    @cached_property
    def base_url(self) -> str:
        """`http://HOST:PORT/PREFIX` as the client reached the service, for links."""
        scope = self.request.scope
        scheme = self.headers.get("x-forwarded-proto") or scope.get("scheme", "http")
        return f"{scheme}://{self.headers.get('host', 'localhost')}{self._prefix}"

    def authorize(self, target: dict[str, Any], rule: str | None = None) -> None:
        """Check the route's rule (or another) against an object's owner; raises Forbidden. `target` has project_id, user_id …"""
        if self._policy is not None:
            self._policy.enforce(self.ctx, rule or self._rule or "", target)

    def allowed(self, rule: str, target: dict[str, Any] | None = None) -> bool:
        return self._policy is None or self._policy.allows(self.ctx, rule, target)

    async def stream(self, limit: int | None = None) -> AsyncIterator[bytes]:
        """The body in pieces; raises TooLarge past `limit` bytes, and ClientGone."""
        seen = 0
        try:
            async for piece in self.request.stream():
                seen += len(piece)
                if limit is not None and seen > limit:
                    raise errors.TooLarge(limit=limit)
                if piece:
                    yield piece
        except HTTPException as error:
            raise ClientGone from error

    async def body(self) -> bytes:
        """The whole JSON body, at most the route's cap; b"" where there is none."""
        declared = self.headers.get("content-length", "0")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self._max_body):
            raise errors.TooLarge(limit=self._max_body)
        raw = b"".join([piece async for piece in self.stream(self._max_body)])
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if raw and kind and not JSON_TYPE.match(kind):
            raise errors.UnsupportedMediaType(content_type=kind[:80])
        if (reason := json_text.unfit(raw)) is not None:
            raise InvalidInput(reason=reason)
        return raw

    def shape(self, kind: type[T]) -> type[T]:
        """What a Struct is at the request's version; where the URL is an older client's, unknown fields do not matter."""
        if self.version is None:
            return kind
        now: type[T] = at_version(kind, self.version, lenient=LENIENT in self.request.scope)  # type: ignore[arg-type]
        return now

    def reads(self, kind: Any) -> None:
        """Declare that the body, which the handler decodes itself, has this shape or contains it: tests compare it with
        the route's declaration."""

    async def decode(self, kind: type[T], *, empty: T | None = None) -> T:
        """The JSON body as a Struct at the request's version; a 400 that names the field when it doesn't fit. `empty` is what no
        body at all stands for, where there may be none."""
        kind_now: Any = self.shape(kind)
        raw = await self.body()
        if not raw and empty is not None:
            return empty
        try:
            decoded: T = msgspec.json.decode(raw, type=kind_now)
        except msgspec.ValidationError as error:
            raise InvalidInput(reason=str(violation_of(error, kind, self.version))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedBody(reason=str(error)) from None
        return decoded
