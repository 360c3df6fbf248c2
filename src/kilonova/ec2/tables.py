"""Tables of what no other service keeps. Times are UTC text with microseconds."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, MetaData, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint

metadata = MetaData()

vpcs = Table(
    "vpcs",
    metadata,
    Column("id", String(36), primary_key=True),  # the router's, which is the VPC's
    Column("project_id", String(64), nullable=False, index=True),
    Column("cidr", String(18), nullable=False),
    Column("routed", Boolean, nullable=False),  # the default route to the internet gateway
)

internet_gateways = Table(
    "internet_gateways",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("vpc_id", String(36)),
    UniqueConstraint("vpc_id"),
)

tags = Table(
    "tags",
    metadata,
    Column("project_id", String(64), nullable=False),
    Column("resource_id", String(50), nullable=False),
    Column("key", String(128), nullable=False),
    Column("value", String(256), nullable=False),
    PrimaryKeyConstraint("project_id", "resource_id", "key"),
)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("project_id", String(64), nullable=False),
    Column("token", String(64), nullable=False),
    Column("digest", String(64), nullable=False),  # of the action's parameters
    Column("result", Text),  # none while the action is under way
    Column("made_at", String(27), nullable=False),
    PrimaryKeyConstraint("project_id", "token"),
)
"""An action with a client's token is taken once."""
