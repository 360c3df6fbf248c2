"""The login of the first clients, at the compute URL: user, key and project in headers, the token and the URL to go on with in
the answer's."""

from __future__ import annotations

from typing import Protocol

from kilonova.core.context import RequestContext
from kilonova.core.web.call import Call, Reply

GIVEN = ("x-auth-user", "x-auth-key", "x-auth-project-id")


class LoginClient(Protocol):
    """The part of identity that the login uses."""

    async def login(self, headers: dict[str, str]) -> tuple[str, RequestContext]:
        """(the token, whose it is); raises Unauthorized."""


class LegacyLogin:
    def __init__(self, client: LoginClient) -> None:
        self.client = client

    async def login(self, call: Call) -> Reply:
        given = {name: call.headers[name] for name in GIVEN if name in call.headers}
        token, ctx = await self.client.login(given)
        url = f"{call.base_url}/v1.1/{ctx.project_id}"
        return Reply(status=204, headers={"X-Auth-Token": token, "X-Server-Management-Url": url})
