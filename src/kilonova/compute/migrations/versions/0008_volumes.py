"""block devices that are volumes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = {
    "uuid": 36, "snapshot_id": 36, "volume_type": 255, "device_type": 16, "attachment_id": 36, "attached_host": 255,
}  # fmt: skip


def upgrade() -> None:
    for name, length in COLUMNS.items():
        op.add_column("block_devices", sa.Column(name, sa.String(length)))
    op.create_index(op.f("ix_block_devices_volume_id"), "block_devices", ["volume_id"], unique=False)
