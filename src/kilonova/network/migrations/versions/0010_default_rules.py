"""default_rules"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "default_security_group_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("ethertype", sa.String(length=8), nullable=False),
        sa.Column("protocol", sa.String(length=40), nullable=True),
        sa.Column("port_range_min", sa.Integer(), nullable=True),
        sa.Column("port_range_max", sa.Integer(), nullable=True),
        sa.Column("remote_ip_prefix", sa.String(length=64), nullable=True),
        sa.Column("remote_group_id", sa.String(length=36), nullable=True),
        sa.Column("remote_is_parent", sa.Boolean(), nullable=False),
        sa.Column("remote_address_group_id", sa.String(length=36), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("used_in_default_sg", sa.Boolean(), nullable=False),
        sa.Column("used_in_non_default_sg", sa.Boolean(), nullable=False),
        sa.Column("default_signature", sa.String(length=255), nullable=True),
        sa.Column("other_signature", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["remote_group_id"], ["security_groups.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("default_signature"),
        sa.UniqueConstraint("other_signature"),
    )
    op.create_index(
        "ix_default_security_group_rules_addresses",
        "default_security_group_rules",
        ["remote_address_group_id"],
        unique=False,
    )
    op.create_index(
        "ix_default_security_group_rules_group", "default_security_group_rules", ["remote_group_id"], unique=False
    )
    op.bulk_insert(
        table, [_first(direction, version) for direction in ("egress", "ingress") for version in ("IPv4", "IPv6")]
    )


def _first(direction: str, ethertype: str) -> dict[str, object]:
    """What groups began with before there were these rows: all may leave, and what comes from the default group may enter it."""
    outward = direction == "egress"
    signature = f"{direction}|{ethertype}|||||" + ("" if outward else "PARENT")
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, signature)), "direction": direction, "ethertype": ethertype,
        "remote_is_parent": not outward, "used_in_default_sg": True, "used_in_non_default_sg": outward,
        "description": f"Legacy default SG rule for {direction} traffic",
        "default_signature": signature, "other_signature": signature if outward else None,
        "created_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
