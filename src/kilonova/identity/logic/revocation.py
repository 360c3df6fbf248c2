"""Revocation: single tokens by audit id, and everything a user, project, domain or application credential was given until
a moment. Rows live as long as a token issued at that moment could; `token-flush` removes them afterwards."""

from __future__ import annotations

from kilonova.core import errors as core_errors
from kilonova.core.bus import Bus
from kilonova.core.clock import Clock
from kilonova.core.context import service_context
from kilonova.core.db import Connection
from kilonova.identity.interface import IdentityEvents, Revoked
from kilonova.identity.logic import moments
from kilonova.identity.options import IdentityOptions
from kilonova.identity.store import tokens as store

LONGEST = 7 * 86400  # seconds; tokens outlive a `token_ttl` that was lowered since


class Revocations:
    """`record` in the transaction that makes the tokens void, `tell` after its commit."""

    def __init__(self, clock: Clock, bus: Bus, options: IdentityOptions) -> None:
        self.clock, self.options = clock, options
        self._events = bus.client(IdentityEvents)

    async def record(self, connection: Connection, *subjects: str) -> None:
        """`subjects` are KIND:ID with the kinds audit, chain, user, project, domain, credential."""
        now = moments.now(self.clock)
        expires_at = now + max(self.options.token_ttl, LONGEST) * moments.SECOND
        rows = [
            {"id": self.clock.hex_id(), "subject": subject, "issued_before": now, "expires_at": expires_at}
            for subject in subjects
        ]
        if rows:
            await store.revoke(connection, rows)

    async def tell(
        self, *, audit_ids: list[str] | None = None, user_ids: list[str] | None = None,
        project_ids: list[str] | None = None, everything: bool = False,
    ) -> None:  # fmt: skip
        """Make every process forget; who can't be reached forgets by time."""
        what = Revoked(
            audit_ids=audit_ids or [], user_ids=user_ids or [], project_ids=project_ids or [], everything=everything
        )
        try:
            await self._events.revoked(service_context("req-" + self.clock.uuid()), what)
        except core_errors.BusError:
            return
