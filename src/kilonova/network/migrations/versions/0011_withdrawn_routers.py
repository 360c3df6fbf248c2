"""withdrawn_routers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("routers", sa.Column("withdrawn", sa.Boolean(), server_default=sa.false(), nullable=False))
