"""What the scheduler does."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.core.bus import Interface, call
from kilonova.core.context import RequestContext


class SchedulerAPI(Interface):
    topic = "scheduler"

    @call(timeout=60)
    async def select_destinations(
        self, ctx: RequestContext, server_ids: list[str], spec: models.RequestSpec, project_id: str, user_id: str
    ) -> list[models.Selection]:
        """A host, alternates and the reasons for each server, in order; the claim on the host is written. All servers of one
        request share the spec."""

    @call(timeout=30)
    async def claim(
        self, ctx: RequestContext, server_id: str, host: str, spec: models.RequestSpec, project_id: str, user_id: str
    ) -> bool:
        """Move a server's claim to an alternate; False when it does not fit there any more."""
