"""extra_dhcp_opts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ports", sa.Column("extra_dhcp_opts", sa.JSON(), nullable=False, server_default="[]"))
