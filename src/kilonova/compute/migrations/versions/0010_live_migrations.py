"""live migrations: how far they are, and which host is to remove what is left of one"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.core.db import types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("migrations", sa.Column("left_at", sa.String(length=255), server_default="", nullable=False))
    op.add_column("migrations", sa.Column("progress", types.Blob, nullable=True))
    op.create_index("ix_migrations_left_at", "migrations", ["left_at"], unique=False)
