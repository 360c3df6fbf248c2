"""Revocation events, for services that cache tokens and may have missed one."""

from __future__ import annotations

from kilonova.core.db import Database
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.identity.interface import RevocationList
from kilonova.identity.resources.base import Deps
from kilonova.identity.tokens.revocation import Revocations
from kilonova.identity.web.resource import Resource


class RevocationEvents:
    def __init__(self, revocations: Revocations, database: Database) -> None:
        self.revocations, self.database = revocations, database

    async def list(self, call: Call) -> Reply:
        """`?after=N`: the events after generation N."""
        after = call.query.get("after", "0")
        if not after.isdecimal() or len(after) > 18:
            raise InvalidInput(reason="after is the number of a generation")
        return Reply(await self.revocations.events_after(self.database, int(after)))


def routes(deps: Deps) -> list[Route]:
    api = RevocationEvents(deps.revocations, deps.database)
    return [
        Route(
            "GET", "/v3/OS-KILONOVA/revocations", api.list, "identity:list_revoke_events",
            reply=RevocationList, summary="List the events after which remembered tokens are no longer valid.",
        )
    ]  # fmt: skip


REVOCATION_EVENTS = Resource(routes, {"identity:list_revoke_events": "rule:service_or_admin"})
