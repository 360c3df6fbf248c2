"""shared address groups"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("address_groups", sa.Column("shared_with", sa.JSON(), nullable=False, server_default="[]"))
