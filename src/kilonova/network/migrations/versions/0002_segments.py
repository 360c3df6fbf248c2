"""a segmentation id belongs to one network"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ux_networks_segment", "networks", ["network_type", "segmentation_id"], unique=True)
