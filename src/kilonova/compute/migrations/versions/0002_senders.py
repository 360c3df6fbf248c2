"""senders"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("locks", sa.Column("name", sa.String(length=255), nullable=False), sa.PrimaryKeyConstraint("name"))
    op.create_table(
        "outbox_senders",
        sa.Column("sender", sa.String(length=32), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sender"),
    )
    op.add_column("outbox", sa.Column("sender", sa.String(length=32), server_default="", nullable=False))
    op.create_index(op.f("ix_outbox_sender"), "outbox", ["sender"], unique=False)
