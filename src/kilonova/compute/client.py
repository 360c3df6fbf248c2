"""The only interface to compute for other services."""

from __future__ import annotations

from kilonova.compute.models import ExternalEvent
from kilonova.core.service import Core

HEADERS = {"OpenStack-API-Version": "compute 2.104"}


class ComputeClient:
    """Acts on the component's own account."""

    def __init__(self, core: Core) -> None:
        self._http = core.client("compute", "/v2.1", headers=HEADERS)

    async def external_events(self, events: list[ExternalEvent]) -> dict[str, int]:
        """Report to servers' hosts what happened, e.g. `network-vif-plugged` with the port's id as tag; server uuid → code of
        its last event: 200 passed on, 404 no such server, 422 it has no host yet. At most 10,000 events."""
        if not events:
            return {}
        items = [
            {"name": e.name, "server_uuid": e.server_uuid, "status": e.status} | ({"tag": e.tag} if e.tag else {})
            for e in events
        ]
        path = "/os-server-external-events"
        found = await self._http.send("POST", path, {"events": items}, dict[str, list[dict[str, object]]])
        return {str(item["server_uuid"]): int(str(item["code"])) for item in found["events"]}
