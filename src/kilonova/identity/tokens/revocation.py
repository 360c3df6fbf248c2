"""Revocation: single tokens by audit id, and everything a user, project, domain or application credential was given until
a moment. Rows live as long as a token issued at that moment could; `token-flush` removes them afterwards.

Other processes cache validated tokens. So whatever invalidates these is also an event: numbered in the transaction that
causes it, sent to all by the shared cache and the bus, and kept for an hour for processes that both did not reach."""

from __future__ import annotations

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.bus import Bus
from kilonova.core.cache import Cache
from kilonova.core.clock import Clock
from kilonova.core.context import service_context
from kilonova.core.db import Connection, Database
from kilonova.identity import timestamps
from kilonova.identity.interface import REVOCATION_EPOCH, IdentityEvents, RevocationList, Revoked
from kilonova.identity.options import IdentityOptions
from kilonova.identity.store import tokens as store

LONGEST = 7 * 86400  # seconds; tokens outlive a `token_ttl` that was lowered since
EVENT_LIFE = 3600  # seconds; much longer than any process caches a token
EPOCH_LIFE = 86400.0
MOST_EVENTS = 1000  # in one answer; a process that missed more clears its cache


class Revocations:
    """`record` in the transaction that makes the tokens void, `publish` after its commit."""

    def __init__(self, clock: Clock, bus: Bus, cache: Cache, options: IdentityOptions) -> None:
        self.clock, self.options, self._cache = clock, options, cache
        self._events = bus.client(IdentityEvents)

    async def record(
        self, connection: Connection, *subjects: str, audit_ids: list[str] | None = None,
        user_ids: list[str] | None = None, project_ids: list[str] | None = None, everything: bool = False,
    ) -> Revoked | None:  # fmt: skip
        """`subjects` are KIND:ID with the kinds audit, chain, user, project, domain, credential; the other arguments say whose
        tokens to drop from caches, and make the event for `publish`. Late in the transaction: writers of events wait here for
        each other's commit."""
        now = timestamps.now(self.clock)
        expires_at = now + max(self.options.token_ttl, LONGEST) * timestamps.SECOND
        rows = [
            {"id": self.clock.hex_id(), "subject": subject, "issued_before": now, "expires_at": expires_at}
            for subject in subjects
        ]
        if rows:
            await store.revoke(connection, rows)
        if not (audit_ids or user_ids or project_ids or everything):
            return None
        event = Revoked(
            generation=await store.next_generation(connection), audit_ids=audit_ids or [], user_ids=user_ids or [],
            project_ids=project_ids or [], everything=everything,
        )  # fmt: skip
        row = {"event": msgspec.msgpack.encode(event), "expires_at": now + EVENT_LIFE * timestamps.SECOND}
        await store.add_event(connection, row | {"generation": event.generation})
        return event

    async def publish(self, event: Revoked | None) -> None:
        """Send the event to every process. One that neither way reaches asks for it, see revocation_log.py."""
        if event is None:
            return
        await self._cache.set(REVOCATION_EPOCH, self.clock.random_bytes(16), EPOCH_LIFE)
        try:
            await self._events.revoked(service_context("req-" + self.clock.uuid()), event)
        except core_errors.BusError:
            return

    async def events_after(self, database: Database, after: int) -> RevocationList:
        """The events after a generation; where not all are kept, the newest of them without a gap."""
        async with database.reading() as connection:
            newest = await store.generation(connection)
            rows = await store.events_after(connection, after, MOST_EVENTS)
        newest = since = max([newest, *(row.generation for row in rows)])
        events: list[Revoked] = []
        for row in rows:
            if row.generation != since:
                break
            events.append(msgspec.msgpack.decode(row.event, type=Revoked))
            since -= 1
        return RevocationList(generation=newest, since=since, events=events[::-1])
