"""SQL of attachments."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

from kilonova.core.db import Connection
from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import attachments


class AttachmentRow(OwnedRow):
    """`status`: reserved, attaching, attached or detaching. `connector` and `connection_info` are JSON."""

    volume_id: str
    instance_id: str | None
    host: str | None
    mountpoint: str | None
    mode: str | None
    status: str
    connector: str | None
    connection_info: str | None
    attached_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


ATTACHMENTS = Rows(attachments, AttachmentRow)


async def of_volumes(connection: Connection, volume_ids: Iterable[str]) -> defaultdict[str, list[AttachmentRow]]:
    found: defaultdict[str, list[AttachmentRow]] = defaultdict(list)
    wanted = list(volume_ids)
    for row in await ATTACHMENTS.find(connection, volume_id=wanted) if wanted else ():
        found[row.volume_id].append(row)
    return found
