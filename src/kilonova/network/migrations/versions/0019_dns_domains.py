"""dns_domains"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("networks", "ports"):
        op.add_column(table, sa.Column("dns_domain", sa.String(length=255), nullable=False, server_default=""))
