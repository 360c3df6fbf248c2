"""What identity tells every process that remembers tokens."""

from __future__ import annotations

import msgspec

from kilonova.core.bus import Interface, fanout
from kilonova.core.context import RequestContext


class Revoked(msgspec.Struct, kw_only=True):
    """Whose tokens are to be forgotten; `everything` when it is not that simple."""

    audit_ids: list[str] = []
    user_ids: list[str] = []
    project_ids: list[str] = []
    everything: bool = False


class IdentityEvents(Interface):
    topic = "identity_events"

    @fanout
    async def revoked(self, ctx: RequestContext, what: Revoked) -> None:
        """Tokens of these, got before now, are worth nothing or say something else now."""
