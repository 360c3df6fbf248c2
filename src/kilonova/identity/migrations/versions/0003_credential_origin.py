"""what made a credential"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("application_credential_id", sa.String(length=64), nullable=True))
    op.create_index("ix_credentials_application_credential", "credentials", ["application_credential_id"], unique=False)
