"""addresses of 128 bits, and where IPv6 guests have theirs from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# 32 hexadecimal digits, of the column that is put in
DIGITS = {
    "sqlite": "printf('%032x', {})",
    "postgresql": "lpad(to_hex({}), 32, '0')",
    "mysql": "lpad(lower(hex({})), 32, '0')",
}


def upgrade() -> None:
    engine = op.get_bind().dialect.name
    digits = DIGITS[engine]
    op.add_column("subnets", sa.Column("search_from", sa.String(length=32), server_default="0" * 32, nullable=False))
    op.execute(f"UPDATE subnets SET search_from = {digits.format('next_address')}")  # noqa: S608
    op.drop_column("subnets", "next_address")
    op.add_column("subnets", sa.Column("ipv6_ra_mode", sa.String(length=16), nullable=True))
    op.add_column("subnets", sa.Column("ipv6_address_mode", sa.String(length=16), nullable=True))
    if engine == "postgresql":
        op.alter_column(
            "ip_allocations", "address", type_=sa.String(length=32), postgresql_using=digits.format("address")
        )
        return
    # the numbers become their decimal digits first, which are never 32
    with op.batch_alter_table("ip_allocations") as table:
        table.alter_column(
            "address", type_=sa.String(length=32), existing_type=sa.BigInteger(), existing_nullable=False
        )
    number = digits.format("CAST(address AS UNSIGNED)" if engine == "mysql" else "CAST(address AS INTEGER)")
    op.execute(f"UPDATE ip_allocations SET address = {number}")  # noqa: S608
