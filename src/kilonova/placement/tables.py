"""Tables. `inventories.capacity` is floor((total - reserved) × allocation_ratio) and `used` the sum of the allocations
against it: kept in the row, so that a claim is one conditional UPDATE."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, UniqueConstraint

from kilonova.core.db.types import Moment

metadata = MetaData()

resource_providers = Table(
    "resource_providers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("parent_uuid", String(36)),
    Column("generation", Integer, nullable=False, default=0),
)

inventories = Table(
    "inventories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("provider_id", ForeignKey("resource_providers.id"), nullable=False),
    Column("resource_class", String(255), nullable=False),
    Column("total", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("min_unit", Integer, nullable=False),
    Column("max_unit", Integer, nullable=False),
    Column("step_size", Integer, nullable=False),
    Column("allocation_ratio", Float, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("used", Integer, nullable=False, default=0),
    Column("changed_at", Moment, index=True),
    UniqueConstraint("provider_id", "resource_class"),
)

consumers = Table(
    "consumers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("consumer_type", String(255)),
    Column("generation", Integer, nullable=False, default=0),
    Index("ix_consumers_project", "project_id", "user_id"),
)

allocations = Table(
    "allocations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("consumer_id", ForeignKey("consumers.id"), nullable=False),
    Column("provider_id", ForeignKey("resource_providers.id"), nullable=False),
    Column("resource_class", String(255), nullable=False),
    Column("used", Integer, nullable=False),
    UniqueConstraint("consumer_id", "provider_id", "resource_class"),
    Index("ix_allocations_provider", "provider_id"),
)
