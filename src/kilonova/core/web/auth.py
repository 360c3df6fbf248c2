"""Authentication: the token in `X-Auth-Token`, validated by the identity service. No other identity header is ever read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

import msgspec

from kilonova.core import errors
from kilonova.core.context import RequestContext

REQUEST_ID = re.compile(r"^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


class Authenticator(Protocol):
    """Proves tokens. Identity does so itself, the other services through identity's API with a cache."""

    async def authenticate(self, token: str) -> RequestContext | None:
        """The caller (its `request_id` is empty), or None for a token that is unknown, expired or revoked."""


class AuthRequired(errors.Unauthorized):
    template = "The request you have made requires authentication."


async def read_identity(
    headers: Mapping[str, str], authenticator: Authenticator, request_id: str, *, required: bool, identity_url: str
) -> RequestContext:
    """The caller's context; raises a 401 with `WWW-Authenticate` when a token is required and there is no valid one."""
    token = headers.get("x-auth-token") or headers.get("x-storage-token")
    given = headers.get("x-openstack-request-id", "")
    global_id = given if REQUEST_ID.match(given) else None
    found = await authenticator.authenticate(token) if token else None
    if found is None:
        if required:
            raise AuthRequired(headers={"WWW-Authenticate": f"Keystone uri={identity_url!r}".replace("'", '"')})
        return RequestContext(request_id=request_id, global_request_id=global_id)
    return msgspec.structs.replace(found, request_id=request_id, global_request_id=global_id, token=token)
