"""auto_allocated_topology"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "auto_allocated_topologies",
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("router_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["router_id"], ["routers.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("project_id"),
    )
    op.add_column("networks", sa.Column("default_external", sa.Integer(), nullable=True))
    op.create_index("ux_networks_default_external", "networks", ["default_external"], unique=True)
    _choose_default()


def _choose_default() -> None:
    """Of networks that call themselves the default, the oldest external one is."""
    names = ("id", "created_at")
    networks = sa.table(
        "networks", *(sa.column(name, sa.String) for name in names), sa.column("external", sa.Boolean),
        sa.column("is_default", sa.Boolean), sa.column("default_external", sa.Integer),
    )  # fmt: skip
    named = sa.select(networks.c.id).where(networks.c.is_default == sa.true(), networks.c.external == sa.true())
    chosen = op.get_bind().execute(named.order_by(networks.c.created_at, networks.c.id).limit(1)).scalar()
    op.execute(networks.update().values(is_default=sa.false()))
    if chosen is not None:
        op.execute(networks.update().where(networks.c.id == chosen).values(is_default=sa.true(), default_external=1))
