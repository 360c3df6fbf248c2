"""A component's own account: its name, its login, its token."""

from __future__ import annotations

import asyncio

import msgspec

from kilonova.core import errors
from kilonova.core.clock import Clock, parse_iso
from kilonova.core.web.client import ServiceClient
from kilonova.core.web.transport import Transport
from kilonova.identity.resources.auth.schemas import TokenReply

RENEW_BEFORE = 300.0  # seconds of life a token of our own must have left
CONTROL_USER, COMPUTE_USER = "kilonova", "kilonova-compute"
"""The accounts of the control plane's components and of compute hosts."""


class ServiceCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """A component's own account."""

    password: str
    username: str = CONTROL_USER
    project_name: str = "service"
    user_domain_id: str = "default"
    project_domain_id: str = "default"


class ServiceAccount:
    """A TokenSource (see core/web/client) that logs in with a password, keeps the token and renews it in time. Callers
    that come together share one login."""

    def __init__(self, identity_url: str, transport: Transport, credentials: ServiceCredentials, clock: Clock) -> None:
        self._http = ServiceClient(identity_url, transport, None)
        self._credentials, self._clock = credentials, clock
        self._token: str | None = None
        self._good_until = 0.0
        self._login = asyncio.Lock()

    async def token(self) -> str:
        """Raises ServiceUnavailable when identity is not there or refuses the account."""
        if self._token is not None and self._clock.monotonic() < self._good_until:
            return self._token
        return await self._renewed(self._token)

    async def renew(self, rejected: str) -> str:
        return await self._renewed(rejected)

    async def _renewed(self, old: str | None) -> str:
        async with self._login:
            if self._token is None or self._token == old:
                await self._log_in()
            return self._token or ""

    async def _log_in(self) -> None:
        account = self._credentials
        user = {"name": account.username, "domain": {"id": account.user_domain_id}, "password": account.password}
        project = {"name": account.project_name, "domain": {"id": account.project_domain_id}}
        body = {
            "auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": project}}
        }
        try:
            data, headers = await self._http.request("POST", "/v3/auth/tokens?nocatalog", body=body)
        except errors.Unauthorized:
            reason = f"identity refuses the service account {account.username}"
            raise errors.PeerAway(reason=reason) from None
        except errors.TooManyRequests:
            raise errors.ServiceUnavailable(reason="too many logins wait for identity") from None
        expires = parse_iso(msgspec.json.decode(data, type=TokenReply).token.expires_at)
        life = (expires - self._clock.now()).total_seconds()
        self._token = headers["x-subject-token"]
        self._good_until = self._clock.monotonic() + max(life - RENEW_BEFORE, life / 2)
