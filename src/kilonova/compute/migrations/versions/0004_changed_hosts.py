"""services know when they changed; compute nodes are found by when they did"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from kilonova.core.db import types

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("services", sa.Column("changed_at", types.Moment, nullable=True))
    op.create_index(op.f("ix_services_changed_at"), "services", ["changed_at"], unique=False)
    op.create_index(op.f("ix_compute_nodes_updated_at"), "compute_nodes", ["updated_at"], unique=False)
