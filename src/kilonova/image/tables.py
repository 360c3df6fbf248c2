"""Tables. Times are UTC text with microseconds, which sorts as time does. The row of a deleted image stays: an id is never
given out twice, as hosts keep images by id."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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

metadata = MetaData()
locks = locks_table(metadata)

images = Table(
    "images",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255)),
    Column("status", String(30), nullable=False),
    Column("visibility", String(9), nullable=False),
    Column("owner", String(255)),
    Column("protected", Boolean, nullable=False),
    Column("os_hidden", Boolean, nullable=False),
    Column("min_disk", Integer, nullable=False),
    Column("min_ram", Integer, nullable=False),
    Column("disk_format", String(20)),
    Column("container_format", String(20)),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", String(32)),
    Column("os_hash_algo", String(64)),
    Column("os_hash_value", String(128)),
    Column("created_at", String(27), nullable=False),
    Column("updated_at", String(27), nullable=False),
    Column("upload_id", String(36)),  # the upload that may move the image out of `saving`
    Column("reserved", BigInteger),  # bytes that this upload may store, counted as its project's
    Index("ix_images_owner", "owner", "status"),
    Index("ix_images_visibility", "visibility", "status"),
    Index("ix_images_created", "created_at", "id"),
)

image_properties = Table(
    "image_properties",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("image_id", "name"),
    Index("ix_image_properties_name", "name"),
)

image_tags = Table(
    "image_tags",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("value", String(255), nullable=False),
    UniqueConstraint("image_id", "value"),
)

image_members = Table(
    "image_members",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("image_id", ForeignKey("images.id"), nullable=False),
    Column("member", String(255), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", String(27), nullable=False),
    Column("updated_at", String(27), nullable=False),
    UniqueConstraint("image_id", "member"),
    Index("ix_image_members_member", "member", "status"),
)
