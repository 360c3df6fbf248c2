"""What identity sends to every process that caches tokens."""

from __future__ import annotations

import msgspec

from kilonova.core.bus import Interface, fanout
from kilonova.core.context import RequestContext

REVOCATION_EPOCH = "identity/revocation-epoch"
"""The name in the shared cache whose value is a new random text after every revocation."""


class Revoked(msgspec.Struct, kw_only=True):
    """Whose tokens are to be forgotten; `everything` when it is not that simple. Each has the number that follows the last
    one's as its `generation`."""

    generation: int
    audit_ids: list[str] = []
    user_ids: list[str] = []
    project_ids: list[str] = []
    everything: bool = False


class RevocationList(msgspec.Struct, kw_only=True):
    """`events` are all those after the generation `since`; the last one's generation, or `since`, is `generation`."""

    generation: int
    since: int
    events: list[Revoked]


class IdentityEvents(Interface):
    topic = "identity_events"

    @fanout
    async def revoked(self, ctx: RequestContext, what: Revoked) -> None:
        """Tokens of these, got before now, are worth nothing or say something else now."""
