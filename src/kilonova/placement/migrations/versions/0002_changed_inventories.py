"""inventories know when they changed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.core.db import types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inventories", sa.Column("changed_at", types.Moment, nullable=True))
    op.create_index(op.f("ix_inventories_changed_at"), "inventories", ["changed_at"], unique=False)
