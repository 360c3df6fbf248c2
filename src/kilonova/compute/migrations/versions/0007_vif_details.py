"""interfaces of servers have the details of their binding, of which earlier releases kept two"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

servers = sa.table("servers", sa.column("id", sa.Integer), sa.column("network_info", sa.JSON))
BATCH = 500  # rows in memory at once


def upgrade() -> None:
    connection, last = op.get_bind(), 0
    batch = sa.select(servers).order_by(servers.c.id).limit(BATCH)
    while rows := connection.execute(batch.where(servers.c.id > last)).all():
        last = rows[-1].id
        for row in rows:
            if any("tap" in vif for vif in row.network_info):
                changed = [_detailed(vif) for vif in row.network_info]
                connection.execute(servers.update().where(servers.c.id == row.id).values(network_info=changed))


def _detailed(vif: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in vif.items() if name not in ("tap", "bridge")}
    if vif.get("tap") and not vif.get("details"):
        kept["details"] = {"tap_name": vif["tap"], "bridge_name": vif.get("bridge", "")}
    return kept
