"""Tables of the volume service. A row of what is deleted is gone; `tasks` is the journal of what back ends have to do."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from kilonova.core.db.locks import locks_table
from kilonova.core.db.outbox import outbox_table
from kilonova.core.db.types import Counter, LongText, Moment

metadata = MetaData()
locks = locks_table(metadata)
outbox = outbox_table(metadata)

volume_types = Table(
    "volume_types",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", String(255)),
    Column("is_public", Boolean, nullable=False),
    Column("qos_specs_id", String(36), index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)

type_access = Table(
    "type_access",
    metadata,
    Column("type_id", ForeignKey("volume_types.id"), primary_key=True),
    Column("project_id", String(64), primary_key=True),
)

volumes = Table(
    "volumes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255)),
    Column("description", String(255)),
    Column("size", Integer, nullable=False),
    Column("quota_size", Integer, nullable=False),  # GiB that quotas count: more than `size` while it is extended
    Column("status", String(40), nullable=False),
    Column("previous_status", String(40)),
    Column("migration_status", String(40)),
    Column("bootable", Boolean, nullable=False),
    Column("multiattach", Boolean, nullable=False),
    Column("encrypted", Boolean, nullable=False),
    Column("readonly", Boolean, nullable=False),
    Column("availability_zone", String(255)),
    Column("type_id", ForeignKey("volume_types.id"), nullable=False, index=True),
    Column("host", String(255)),  # HOST@BACKEND#POOL
    Column("snapshot_id", String(36)),
    Column("source_volid", String(36)),
    Column("image_id", String(36)),
    Column("group_id", String(36), index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("launched_at", Moment),
    Index("ix_volumes_project", "project_id", "created_at", "id"),
    Index("ix_volumes_created", "created_at", "id"),
    Index("ix_volumes_host", "host"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False, index=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("name", String(255)),
    Column("description", String(255)),
    Column("size", Integer, nullable=False),
    Column("type_id", String(36)),
    Column("status", String(40), nullable=False),
    Column("progress", String(8), nullable=False),
    Column("group_snapshot_id", String(36), index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Index("ix_snapshots_project", "project_id", "created_at", "id"),
    Index("ix_snapshots_created", "created_at", "id"),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False, index=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("instance_id", String(36), index=True),
    Column("host", String(255)),
    Column("mountpoint", String(255)),
    Column("mode", String(2)),
    Column("status", String(20), nullable=False),
    Column("connector", LongText),  # JSON
    Column("connection_info", LongText),  # JSON
    Column("attached_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)

items = Table(  # key-value pairs of everything
    "items",
    metadata,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),  # whose: see store/items.py
    Column("owner_id", String(36), nullable=False),
    Column("name", String(255), nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("owner_id", "kind", "name"),
)

services = Table(
    "services",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("binary", String(40), primary_key=True),
    Column("uuid", String(36), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", String(255)),
    Column("frozen", Boolean, nullable=False),
    Column("availability_zone", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment),
    Column("last_seen", Moment),
)

pools = Table(
    "pools",
    metadata,
    Column("name", String(255), primary_key=True),  # HOST@BACKEND#POOL
    Column("service", String(255), nullable=False, index=True),  # HOST@BACKEND
    Column("total_gb", Float, nullable=False),
    Column("free_gb", Float, nullable=False),
    Column("capabilities", LongText, nullable=False),  # JSON
    Column("reported_at", Moment, nullable=False),
)

tasks = Table(  # one row for each thing that a back end is to do, until it is done or given up
    "tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("work", String(40), nullable=False),
    Column("subject_id", String(36), nullable=False, index=True),
    Column("host", String(255), index=True),  # HOST@BACKEND#POOL, once it is chosen
    Column("order", LongText, nullable=False),  # JSON of models.Order
    Column("request", LongText, nullable=False),  # JSON of models.Requester
    Column("tried", LongText, nullable=False),  # JSON: what back ends answered
    Column("created_at", Moment, nullable=False),
    Column("sent_at", Moment),
)

quotas = Table(
    "quotas",
    metadata,
    Column("owner", String(255), primary_key=True),  # "project:ID" or "class:NAME"
    Column("resource", String(300), primary_key=True),
    Column("amount", Integer, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("event_id", String(60), nullable=False),
    Column("user_message", Text, nullable=False),
    Column("message_level", String(20), nullable=False),
    Column("resource_type", String(40), nullable=False),
    Column("resource_uuid", String(36), index=True),
    Column("request_id", String(255), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("guaranteed_until", Moment, nullable=False),
    Index("ix_messages_project", "project_id", "created_at", "id"),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("volume_id", ForeignKey("volumes.id"), nullable=False, unique=True),
    Column("name", String(255)),
    Column("salt", String(64), nullable=False),
    Column("key_hash", String(128), nullable=False),
    Column("project_id", String(64), nullable=False, index=True),
    Column("no_snapshots", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

encryption_types = Table(
    "encryption_types",
    metadata,
    Column("type_id", ForeignKey("volume_types.id"), primary_key=True),
    Column("encryption_id", String(36), nullable=False),
    Column("provider", String(255), nullable=False),
    Column("control_location", String(20), nullable=False),
    Column("cipher", String(255)),
    Column("key_size", Integer),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)

qos_specs = Table(  # their pairs are items
    "qos_specs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("consumer", String(20), nullable=False),
    Column("created_at", Moment, nullable=False),
)

default_types = Table(
    "default_types",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("type_id", ForeignKey("volume_types.id"), nullable=False),
)

backups = Table(
    "backups",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("volume_id", String(36), nullable=False, index=True),
    Column("snapshot_id", String(36)),
    Column("parent_id", String(36), index=True),
    Column("name", String(255)),
    Column("description", String(255)),
    Column("container", String(255)),
    Column("size", Integer, nullable=False),
    Column("status", String(40), nullable=False),
    Column("fail_reason", String(255)),
    Column("object_count", Integer, nullable=False),
    Column("host", String(255), nullable=False),  # HOST@BACKEND#POOL of the machine that keeps it
    Column("availability_zone", String(255)),
    Column("bootable", Boolean, nullable=False),
    Column("type_id", String(36)),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("data_timestamp", Moment),
    Index("ix_backups_project", "project_id", "created_at", "id"),
)
