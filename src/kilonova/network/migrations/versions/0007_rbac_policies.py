"""rbac_policies"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rbac_policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target_project", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("object_id", "action", "target_project"),
    )
    op.create_index("ix_rbac_policies_project", "rbac_policies", ["project_id"], unique=False)
    op.create_index("ix_rbac_policies_target", "rbac_policies", ["target_project", "object_type"], unique=False)
    for table, column in (("networks", "shared_with"), ("networks", "external_to"), ("security_groups", "shared_with")):
        op.add_column(table, sa.Column(column, sa.JSON(), nullable=False, server_default="[]"))
    for flag, action, column in (
        ("shared", "access_as_shared", "shared_with"),
        ("external", "access_as_external", "external_to"),
    ):
        _write_policies(flag, action, column)


def _write_policies(flag: str, action: str, column: str) -> None:
    """Networks that are shared with every project, or external to every one, have a policy that says so."""
    plain = (sa.column(name, sa.String) for name in ("id", "project_id"))
    networks = sa.table("networks", *plain, sa.column(flag, sa.Boolean), sa.column(column, sa.JSON))
    names = ("id", "project_id", "object_type", "object_id", "action", "target_project")
    policies = sa.table("rbac_policies", *(sa.column(name, sa.String) for name in names))
    marked = networks.c[flag] == sa.true()
    new = [
        {
            "id": str(uuid.uuid5(uuid.UUID(row.id), action)), "project_id": row.project_id, "object_type": "network",
            "object_id": row.id, "action": action, "target_project": "*",
        }
        for row in op.get_bind().execute(sa.select(networks.c.id, networks.c.project_id).where(marked))
    ]  # fmt: skip
    op.bulk_insert(policies, new)
    op.execute(networks.update().where(marked).values({column: ["*"]}))
