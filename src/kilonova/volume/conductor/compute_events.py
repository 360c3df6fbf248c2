"""What compute must know of volumes that servers have: one has grown, and guests are to be told."""

from __future__ import annotations

from typing import Any

from kilonova.core import errors
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.volume.conductor.deps import logger
from kilonova.volume.store.attachments import ATTACHMENTS

SINCE = {"OpenStack-API-Version": "compute 2.51"}


class ComputeEvents:
    """On the component's own account."""

    def __init__(self, core: Core, database: Database) -> None:
        self._database = database
        self._http = core.client("compute", "/v2.1", headers=SINCE)

    async def extended(self, volume_id: str) -> None:
        """Tell compute for each server that has the volume. Raises ServiceUnavailable while compute is away: the message is done
        again."""
        async with self._database.reading() as connection:
            held = await ATTACHMENTS.find(connection, volume_id=volume_id)
        servers = sorted({row.instance_id for row in held if row.instance_id is not None})
        events = [{"name": "volume-extended", "server_uuid": server, "tag": volume_id} for server in servers]
        if not events:
            return
        try:
            await self._http.send("POST", "/os-server-external-events", {"events": events}, dict[str, Any])
        except errors.NotFound:
            logger.info("volume-extended dropped: servers unknown to compute", servers=servers, volume=volume_id)
