"""Who sent a request: its signature, read here and checked by identity, which keeps the secrets."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.cache import Cache
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.service import Core
from kilonova.ec2 import errors
from kilonova.identity.client import signed_login
from kilonova.identity.signatures import LONGEST, WINDOW, Signed, authorization, is_timely, was_made_at

READS = ("Describe", "Get", "List", "Search")
SERVICE = "ec2"
AT_ONCE = dt.timedelta(seconds=3)


class Login:
    def __init__(self, core: Core) -> None:
        self._identity = core.client("identity")
        self._cache: Cache = core.cache
        self._clock: Clock = core.clock
        self._region = core.region

    async def login(self, request: Signed, action: str, request_id: str) -> RequestContext:
        """The caller, with a token for the key's project. Raises AuthFailure, RequestExpired, SignatureDoesNotMatch."""
        self._check_scope(request)
        if not is_timely(request, self._clock.now()):
            raise errors.RequestExpired
        try:
            ctx = await signed_login(self._identity, request)
        except core_errors.Unauthorized:
            raise errors.AuthFailure from None
        if not action.startswith(READS):
            await self._once(request)
        return msgspec.structs.replace(ctx, request_id=request_id)

    def _check_scope(self, request: Signed) -> None:
        said = authorization(request)
        if said is None:
            return  # version 2 knows no regions
        _, _, region, service, _ = said[0].split("/")
        if region != self._region:
            reason = f"Credential should be scoped to a valid region, not '{region[:50]}'."
            raise errors.SignatureDoesNotMatch(reason=reason)
        if service != SERVICE:
            raise errors.SignatureDoesNotMatch(reason=f"Credential should be scoped to correct service: '{SERVICE}'.")

    async def _once(self, request: Signed) -> None:
        """What changes something is done once for each signature, which a stranger may have seen: clients sign again when they
        send again. Within a second, which is as exact as their times are, two equal requests have one signature."""
        name = "ec2 request " + hashlib.sha256(f"{request.access} {request.signature}".encode()).hexdigest()
        made, now = was_made_at(request), self._clock.now()
        if await self._cache.get(name) is not None and (made is None or abs(now - made) > AT_ONCE):
            raise errors.RequestRepeated
        kept = LONGEST if "X-Amz-Expires" in request.params or "Expires" in request.params else WINDOW
        await self._cache.set(name, b"1", (kept + WINDOW) / dt.timedelta(seconds=1))


def signed_request(
    method: str, host: str, path: str, params: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> Signed:
    """The request with its signature. Raises MissingAuthenticationToken where it has none."""
    said = headers.get("authorization", "")
    signed = Signed(
        access=params.get("AWSAccessKeyId", ""), signature=params.get("Signature", ""), verb=method, host=host, path=path,
        params=dict(params), headers=dict(headers), body_hash=hashlib.sha256(body).hexdigest(),
    )  # fmt: skip
    if "X-Amz-Signature" in params or said.startswith("AWS4"):
        v4 = authorization(signed)
        signed.access = v4[0].partition("/")[0] if v4 else ""
        signed.signature = params.get("X-Amz-Signature") or said.rpartition("Signature=")[2].partition(",")[0].strip()
    if not signed.access or not signed.signature:
        raise errors.MissingAuthenticationToken
    return signed
