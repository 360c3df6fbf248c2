"""Tables of compute. Times are naive UTC. `deleted` is 0 or the row's id, so that unique keys hold among servers that are not
deleted."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
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
from kilonova.core.db.types import Blob, LongText, Moment

metadata = MetaData()
outbox = outbox_table(metadata)
locks = locks_table(metadata)

flavors = Table(
    "flavors",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("flavorid", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", Text),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("root_gb", Integer, nullable=False),
    Column("ephemeral_gb", Integer, nullable=False, default=0),
    Column("swap_mb", Integer, nullable=False, default=0),
    Column("rxtx_factor", Float, nullable=False, default=1.0),
    Column("is_public", Boolean, nullable=False, default=True),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("extra_specs", JSON, nullable=False),  # {key: text}
    Column("created_at", Moment, nullable=False),
)

flavor_access = Table(
    "flavor_access",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("flavor_id", ForeignKey("flavors.id"), nullable=False),
    Column("project_id", String(255), nullable=False),
    UniqueConstraint("flavor_id", "project_id"),
)

key_pairs = Table(
    "key_pairs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("type", String(8), nullable=False),  # ssh | x509
    Column("fingerprint", String(255), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("user_id", "name"),
)

quota_limits = Table(
    "quota_limits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),  # project | user | class
    Column("owner", String(255), nullable=False),  # project id, "project/user", or class name
    Column("resource", String(255), nullable=False),
    Column("hard_limit", Integer, nullable=False),
    UniqueConstraint("kind", "owner", "resource"),
)

services = Table(
    "services",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("host", String(255), nullable=False),
    Column("binary", String(64), nullable=False),  # nova-compute, nova-scheduler, nova-conductor
    Column("disabled", Boolean, nullable=False, default=False),
    Column("disabled_reason", String(255)),
    Column("forced_down", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False, default=0),
    Column("last_seen", Moment),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, index=True),  # not by a heartbeat
    UniqueConstraint("host", "binary"),
)

compute_nodes = Table(
    "compute_nodes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),  # also the placement provider's
    Column("host", String(255), nullable=False, unique=True),
    Column("hypervisor_hostname", String(255), nullable=False),
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("disk_gb", Integer, nullable=False),
    Column("hypervisor_type", String(64), nullable=False),
    Column("hypervisor_version", Integer, nullable=False),
    Column("host_ip", String(64)),
    Column("facts", JSON, nullable=False),  # models.HostFacts: cpu_arch, cpu_info, supported, disk_available_gb …
    Column("stats", JSON, nullable=False),  # models.HostStats: running_vms, io_ops, building
    Column("updated_at", Moment, index=True),
    Column("created_at", Moment, nullable=False),
)

aggregates = Table(
    "aggregates",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("metadata", JSON, nullable=False),  # availability_zone is a key of it
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)

aggregate_hosts = Table(
    "aggregate_hosts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("aggregate_id", ForeignKey("aggregates.id"), nullable=False),
    Column("host", String(255), nullable=False),
    UniqueConstraint("aggregate_id", "host"),
)

server_groups = Table(
    "server_groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("project_id", String(255), nullable=False, index=True),
    Column("user_id", String(255), nullable=False),
    Column("policy", String(64), nullable=False),  # affinity, anti-affinity, soft-affinity, soft-anti-affinity
    Column("rules", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    Column("id", Integer, primary_key=True),  # also the number in the guest's name
    Column("uuid", String(36), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("description", String(255)),
    Column("hostname", String(255), nullable=False),
    Column("project_id", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("image_id", String(36)),
    Column("flavor", JSON, nullable=False),  # models.Flavor as it was at creation
    Column("vcpus", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("vm_state", String(32), nullable=False),
    Column("task_state", String(64)),
    Column("power_state", Integer, nullable=False, default=0),
    Column("host", String(255)),
    Column("node", String(255)),
    Column("availability_zone", String(255)),
    Column("key_name", String(255)),
    Column("config_drive", Boolean, nullable=False, default=False),
    Column("disk_config", String(8), nullable=False, default="MANUAL"),  # AUTO | MANUAL
    Column("user_data", LongText),  # base64
    Column("reservation_id", String(64), nullable=False),
    Column("launch_index", Integer, nullable=False, default=0),
    Column("access_ip_v4", String(39)),
    Column("access_ip_v6", String(39)),
    Column("locked_by", String(16)),  # None | owner | admin
    Column("locked_reason", String(255)),
    Column("progress", Integer, nullable=False, default=0),
    Column("metadata", JSON, nullable=False),  # {key: text}
    Column("tags", JSON, nullable=False),  # [text]
    Column("network_info", JSON, nullable=False),  # [models.Vif]: what `addresses` is made from
    Column("security_groups", JSON, nullable=False),  # [name]
    Column("server_group_id", String(36), index=True),
    Column("trusted_image_certificates", JSON),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("launched_at", Moment),
    Column("terminated_at", Moment),
    Column("deleted_at", Moment),
    Column("deleted", Integer, nullable=False, default=0),
    Index("ix_servers_project", "project_id", "deleted", "created_at", "name"),  # a project's list, also by name
    Index("ix_servers_created", "created_at", "deleted"),
    Index("ix_servers_deleted_at", "deleted_at"),
    Index(
        "ix_servers_usage", "project_id", "deleted", "vcpus", "memory_mb"
    ),  # all that counting a project's usage reads
    Index("ix_servers_host", "host", "deleted"),
    Index("ix_servers_state", "vm_state", "deleted"),
    Index("ix_servers_reservation", "reservation_id"),
)

request_specs = Table(
    "request_specs",
    metadata,
    Column("server_uuid", String(36), primary_key=True),
    Column("spec", Blob, nullable=False),  # models.RequestSpec, msgpack
)

block_devices = Table(
    "block_devices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_uuid", String(36), nullable=False, index=True),
    Column("source_type", String(16), nullable=False),  # image | volume | snapshot | blank
    Column("destination_type", String(16), nullable=False),  # local | volume
    Column("image_id", String(36)),
    Column("volume_id", String(36), index=True),
    Column("boot_index", Integer),
    Column("device_name", String(255)),
    Column("volume_size", Integer),  # GiB; of swap MiB
    Column("delete_on_termination", Boolean, nullable=False, default=True),
    Column("disk_bus", String(16)),
    Column("guest_format", String(16)),
    Column("tag", String(255)),
    Column("uuid", String(36)),  # of a volume's
    Column("snapshot_id", String(36)),
    Column("volume_type", String(255)),
    Column("device_type", String(16)),
    Column("attachment_id", String(36)),  # of the volume service
    Column("attached_host", String(255)),  # whose connector the attachment has
)

server_faults = Table(
    "server_faults",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_uuid", String(36), nullable=False, index=True),
    Column("code", Integer, nullable=False),
    Column("message", String(255), nullable=False),
    Column("details", LongText),  # for admins
    Column("host", String(255)),
    Column("created_at", Moment, nullable=False),
)

server_actions = Table(
    "server_actions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_uuid", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("action", String(64), nullable=False),  # create, start, stop, reboot, delete …
    Column("user_id", String(255)),
    Column("project_id", String(255)),
    Column("message", String(255)),  # None | Error
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    UniqueConstraint("server_uuid", "request_id", "action"),
)

step_reports = Table(
    "step_reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_uuid", String(36), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("report", Blob, nullable=False),  # [models.StepRecord] of one report of a component, msgpack
    Index("ix_step_reports", "server_uuid", "request_id"),
)

migrations = Table(
    "migrations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("server_uuid", String(36), nullable=False, index=True),
    Column("type", String(16), nullable=False),  # a kind of compute/moves.py
    Column("status", String(16), nullable=False),  # accepted, pre-migrating, done, completed, failed, error
    Column("request_id", String(64), nullable=False),
    Column("source_compute", String(255), nullable=False),
    Column("source_node", String(255)),
    Column("dest_compute", String(255)),
    Column("dest_node", String(255)),
    Column("dest_host", String(64)),
    Column("user_id", String(255)),
    Column("project_id", String(255)),
    Column("document", Blob, nullable=False),  # models.Move, msgpack
    Column("left_at", String(255), nullable=False, server_default=""),  # the host that is to remove what it has of it
    Column("progress", Blob),  # models.Progress, msgpack
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Index("ix_migrations_source", "source_compute", "status"),
    Index("ix_migrations_left_at", "left_at"),
)

console_tokens = Table(
    "console_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the token, in hexadecimal digits
    Column("server_uuid", String(36), nullable=False, index=True),
    Column("host", String(255), nullable=False),
    Column("kind", String(16), nullable=False),  # vnc, serial
    Column("life", String(64), nullable=False),  # of the guest: another one each time it was switched on
    Column("url", String(255), nullable=False),  # where the host relays it
    Column("expires_at", Moment, nullable=False, index=True),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_uuid", String(36), nullable=False, index=True),
    Column("request_id", String(64), nullable=False),
    Column("decision", Blob, nullable=False),  # models.Decision, msgpack
    Column("created_at", Moment, nullable=False),
)
