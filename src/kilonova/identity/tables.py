"""Tables. A domain is a row of `projects` with `is_domain`, as upstream's API shows it; its own `domain_id` is "".
Moments are whole microseconds since 1970 UTC. `extra` keeps the attributes of a client's own, `options` upstream's resource
options that are set."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from kilonova.core.db.types import Blob

metadata = MetaData()
ID, NAME = String(64), String(255)

projects = Table(
    "projects",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("domain_id", ID, nullable=False),
    Column("parent_id", ForeignKey("projects.id")),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text),
    Column("tags", JSON, nullable=False),
    Column("extra", JSON, nullable=False),
    Column("options", JSON),
    UniqueConstraint("domain_id", "name"),
    Index("ix_projects_parent", "parent_id"),
)

users = Table(
    "users",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("domain_id", ForeignKey("projects.id"), nullable=False),
    Column("default_project_id", ID),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", String(255)),
    Column("extra", JSON, nullable=False),
    Column("options", JSON),
    UniqueConstraint("domain_id", "name"),
)

# wrong passwords of late, by the user's id or, where there is no such user, by a digest of what was asked for
login_failures = Table(
    "login_failures",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),  # from then on they count no more
    Index("ix_login_failures_expires", "expires_at"),
)

groups = Table(
    "groups",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("domain_id", ForeignKey("projects.id"), nullable=False),
    Column("description", Text),
    Column("extra", JSON, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_memberships_group", "group_id"),
)

roles = Table(
    "roles",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", NAME, nullable=False),
    Column("domain_id", ID, nullable=False),  # "" for a role of the whole cloud
    Column("description", Text),
    Column("extra", JSON, nullable=False),
    Column("options", JSON),
    UniqueConstraint("domain_id", "name"),
)

implied_roles = Table(
    "implied_roles",
    metadata,
    Column("prior_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Column("implied_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
)

assignments = Table(
    "assignments",
    metadata,
    Column("actor_kind", String(8), primary_key=True),  # user, group
    Column("actor_id", ID, primary_key=True),
    Column("target_kind", String(8), primary_key=True),  # project, domain, system
    Column("target_id", ID, primary_key=True),  # "all" for the system
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Column("inherited", Boolean, primary_key=True),
    Index("ix_assignments_target", "target_id"),
)

regions = Table(
    "regions",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("parent_region_id", ForeignKey("regions.id")),
    Column("description", Text, nullable=False),
    Column("extra", JSON, nullable=False),
)

services = Table(
    "services",
    metadata,
    Column("id", ID, primary_key=True),
    Column("type", NAME, nullable=False),
    Column("name", NAME),
    Column("description", Text),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JSON, nullable=False),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", ID, primary_key=True),
    Column("service_id", ForeignKey("services.id", ondelete="CASCADE"), nullable=False),
    Column("region_id", ForeignKey("regions.id")),
    Column("interface", String(8), nullable=False),
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("extra", JSON, nullable=False),
    Index("ix_endpoints_service", "service_id"),
)

application_credentials = Table(
    "application_credentials",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("description", Text),
    Column("secret_hash", String(255), nullable=False),
    Column("expires_at", BigInteger),
    Column("unrestricted", Boolean, nullable=False),
    UniqueConstraint("user_id", "name"),
)

application_credential_roles = Table(
    "application_credential_roles",
    metadata,
    Column("credential_id", ForeignKey("application_credentials.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", ID, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", ID),
    Column("type", NAME, nullable=False),
    Column("sealed_blob", Blob, nullable=False),
    # that of the token which made it, if it had one: it ends with that
    Column("application_credential_id", ID),
    Index("ix_credentials_user", "user_id"),
    Index("ix_credentials_application_credential", "application_credential_id"),
)

# what makes tokens issued until a moment worthless; `subject` is KIND:ID, see tokens/revocation.py
revocations = Table(
    "revocations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("subject", String(140), nullable=False),
    Column("issued_before", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_revocations_subject", "subject"),
    Index("ix_revocations_expires", "expires_at"),
)

# the events for processes that cache tokens, numbered without a gap in the order of the commits; see tokens/revocation.py
revocation_events = Table(
    "revocation_events",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("event", Blob, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_revocation_events_expires", "expires_at"),
)

# the newest generation, one row: a transaction that writes an event holds it until its commit
revocation_generation = Table(
    "revocation_generation",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
)

# tokens of the `uuid` provider, found by the hash of their id
tokens = Table(
    "tokens",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("payload", Blob, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_tokens_expires", "expires_at"),
)
