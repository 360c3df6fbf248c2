"""What the volume agent of a machine does for the conductor and for the API."""

from __future__ import annotations

from typing import Any

from kilonova.core.bus import Interface, call, cast
from kilonova.core.context import RequestContext
from kilonova.volume.backends.driver import StoredVolume
from kilonova.volume.models import Order


class VolumeAgentAPI(Interface):
    """Served under the machine's name; `pool` (HOST@BACKEND#POOL) names one of its back ends."""

    topic = "volume-agent"

    @cast
    async def run(self, ctx: RequestContext, order: Order) -> None:
        """Do it, and report how it ended. Repeating it is harmless."""

    @call(timeout=60)
    async def connect(
        self, ctx: RequestContext, pool: str, volume_id: str, attachment_id: str, connector: dict[str, Any]
    ) -> dict[str, Any]:
        """Make a volume reachable for a machine: `{"driver_volume_type": …, "data": {…}}`. Repeating it gives the same."""

    @call(timeout=60)
    async def disconnect(self, ctx: RequestContext, pool: str, volume_id: str, attachment_id: str) -> None:
        """What the attachment was given is void. Repeating it is harmless."""

    @call(timeout=60)
    async def inventory(self, ctx: RequestContext, pool: str) -> list[StoredVolume]:
        """For `kilonova verify`: what a back end keeps."""
