"""lists of all projects, what a project uses, and which servers were deleted when, by an index alone"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_servers_project", "servers")
    op.create_index("ix_servers_project", "servers", ["project_id", "deleted", "created_at", "name"], unique=False)
    op.create_index("ix_servers_created", "servers", ["created_at", "deleted"], unique=False)
    op.create_index("ix_servers_deleted_at", "servers", ["deleted_at"], unique=False)
    op.create_index("ix_servers_usage", "servers", ["project_id", "deleted", "vcpus", "memory_mb"], unique=False)
