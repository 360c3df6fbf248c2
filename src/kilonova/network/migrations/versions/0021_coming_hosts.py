"""the host that a port's guest is about to be on"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ports", sa.Column("coming_host_id", sa.String(length=255), server_default="", nullable=False))
    op.create_index("ix_ports_coming_host", "ports", ["coming_host_id"], unique=False)
