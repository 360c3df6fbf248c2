"""trunks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trunks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["ports.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trunks_port", "trunks", ["port_id"], unique=False)
    op.create_index("ix_trunks_project", "trunks", ["project_id"], unique=False)
    op.add_column("ports", sa.Column("trunk_id", sa.String(length=36), nullable=True))
    op.add_column("ports", sa.Column("subport_of", sa.String(length=36), nullable=True))
    op.add_column("ports", sa.Column("vlan", sa.Integer(), nullable=True))
    op.create_index("ux_ports_subport", "ports", ["subport_of", "vlan"], unique=True)
    op.create_index("ux_ports_trunk", "ports", ["trunk_id"], unique=True)
