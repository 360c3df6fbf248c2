"""quotas"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("locks", sa.Column("name", sa.String(length=255), nullable=False), sa.PrimaryKeyConstraint("name"))
    op.add_column("images", sa.Column("reserved", sa.BigInteger(), nullable=True))
