"""SQL of transfers: volumes that their project gives away."""

from __future__ import annotations

import datetime as dt

from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import transfers


class TransferRow(OwnedRow):
    """`key_hash`: of the key that whoever accepts must know."""

    volume_id: str
    name: str | None
    salt: str
    key_hash: str
    no_snapshots: bool
    created_at: dt.datetime


TRANSFERS = Rows(transfers, TransferRow)
