"""What the attachments of a volume make of its status."""

from __future__ import annotations

from kilonova.core.db import Connection
from kilonova.volume.store.attachments import ATTACHMENTS

ORDER = (("attached", "in-use"), ("attaching", "attaching"), ("detaching", "detaching"), ("reserved", "reserved"))
"""Status of an attachment → of its volume; the first one that is found counts."""


async def usage_status(connection: Connection, volume_id: str) -> str:
    held = {row.status for row in await ATTACHMENTS.find(connection, volume_id=volume_id)}
    return next((status for one, status in ORDER if one in held), "available")
