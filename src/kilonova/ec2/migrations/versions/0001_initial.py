"""initial"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vpcs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("cidr", sa.String(18), nullable=False),
        sa.Column("routed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_vpcs_project_id", "vpcs", ["project_id"])
    op.create_table(
        "internet_gateways",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("vpc_id", sa.String(36)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("vpc_id"),
    )
    op.create_index("ix_internet_gateways_project_id", "internet_gateways", ["project_id"])
    op.create_table(
        "tags",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.String(50), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource_id", "key"),
    )
    op.create_table(
        "client_tokens",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("made_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "token"),
    )
