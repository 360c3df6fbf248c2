"""The base of every service's `client.py`: requests to its public REST API, refusals as typed errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import msgspec

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.grants import HEADER as GRANT
from kilonova.core.web.target import is_dotted
from kilonova.core.web.transport import Answer, Content, Transport

T = TypeVar("T")
KINDS = {
    400: errors.BadRequest, 401: errors.Unauthorized, 403: errors.Forbidden, 404: errors.NotFound, 409: errors.Conflict,
    410: errors.Gone, 413: errors.TooLarge, 415: errors.UnsupportedMediaType, 429: errors.TooManyRequests,
    503: errors.ServiceUnavailable,
}  # fmt: skip


class TokenSource(Protocol):
    """Gives the token of a component's own service account."""

    async def token(self) -> str: ...
    async def renew(self, rejected: str) -> str:
        """A new token after one was refused."""


class ServiceClient:
    """Requests to one service. With a context whose caller has a token, on that caller's behalf, else with the component's
    own account."""

    def __init__(
        self, url: str, transport: Transport, tokens: TokenSource | None, *, headers: dict[str, str] | None = None
    ) -> None:
        self.url, self._transport, self._tokens, self._headers = url.rstrip("/"), transport, tokens, headers or {}

    def granted(self, grant: str) -> ServiceClient:
        """The same with a grant beside the token (core/grants.py)."""
        return ServiceClient(self.url, self._transport, self._tokens, headers=self._headers | {GRANT: grant})

    @asynccontextmanager
    async def open(
        self, method: str, path: str, *, ctx: RequestContext | None = None, own: bool = False,
        content: Content = b"", headers: dict[str, str] | None = None,
    ) -> AsyncIterator[Answer]:  # fmt: skip
        """The answer as it comes, whatever its status; `own` uses the component's account even with a caller's context."""
        if is_dotted(path.partition("?")[0]):  # an id that a user chose must not lead to another place
            raise errors.BadRequest
        token = ctx.token if ctx is not None and not own else None
        sent = self._headers | (headers or {})
        if ctx is not None:
            sent["x-openstack-request-id"] = ctx.request_id
        mine = token is None and self._tokens is not None
        if mine and self._tokens is not None:
            token = await self._tokens.token()
        for attempt in (1, 2):
            if token is not None:
                sent["x-auth-token"] = token
            async with self._transport.send(method, self.url + path, sent, content) as answer:
                if (
                    answer.status == 401
                    and mine
                    and attempt == 1
                    and isinstance(content, bytes)
                    and self._tokens is not None
                ):
                    token = await self._tokens.renew(token or "")
                    continue
                yield answer
                return

    async def request(
        self, method: str, path: str, *, ctx: RequestContext | None = None, own: bool = False, body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[bytes, dict[str, str]]:  # fmt: skip
        """(body, headers) of a successful answer; raises the typed error of its status with the service's own message."""
        sent = {"accept": "application/json"} | (headers or {})
        content = b""
        if body is not None:
            content = msgspec.json.encode(body)
            sent = {"content-type": "application/json", "content-length": str(len(content))} | sent
        async with self.open(method, path, ctx=ctx, own=own, content=content, headers=sent) as answer:
            data = await answer.read()
            if answer.status >= 300:
                raise refusal(answer.status, data)
            return data, answer.headers

    async def get(self, path: str, kind: type[T], *, ctx: RequestContext | None = None, own: bool = False) -> T:
        """The JSON answer decoded as `kind`."""
        data, _ = await self.request("GET", path, ctx=ctx, own=own)
        return msgspec.json.decode(data, type=kind)

    async def send(
        self, method: str, path: str, body: Any, kind: type[T], *, ctx: RequestContext | None = None, own: bool = False
    ) -> T:
        data, _ = await self.request(method, path, ctx=ctx, own=own, body=body)
        return msgspec.json.decode(data or b"null", type=kind)


class _Type(msgspec.Struct):
    type: str


class _Typed(msgspec.Struct, rename={"error": "NeutronError"}):
    error: _Type


def refusal(status: int, data: bytes) -> errors.KilonovaError:
    """The typed error of an HTTP status, with the message found in any of the services' error formats. Its parameter `type` is
    what the network service calls it."""
    message = _message(data) or f"HTTP {status}"
    kind = KINDS.get(status)
    if kind is not None:
        return kind(message, type=_type(data))
    return errors.BadRequest(message) if status < 500 else errors.KilonovaError(message)


def _type(data: bytes) -> str:
    try:
        return msgspec.json.decode(data, type=_Typed).error.type
    except msgspec.MsgspecError:
        return ""


def _message(data: bytes) -> str | None:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    if not isinstance(found, dict):
        return None
    match found:
        case {"errors": [{"detail": detail}, *_]}:
            return str(detail)
        case {"message": str(message)}:
            return message
    return next((str(v["message"]) for v in found.values() if isinstance(v, dict) and "message" in v), None)
