"""Tables. An address belongs to one port of a subnet, and a MAC to one port of a network: the UNIQUE constraints say so,
whatever races. `ip_allocations.address` is the address as a number of 128 bits, so that free ones are found by comparing."""

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
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from kilonova.core.db.outbox import outbox_table
from kilonova.core.db.types import Counter, Number128

metadata = MetaData()
outbox = outbox_table(metadata)


def _standard() -> list[Column[object]]:
    """What every resource has. Times are ISO text."""
    return [
        Column("id", String(36), primary_key=True),
        Column("project_id", String(255), nullable=False),
        Column("name", String(255), nullable=False),
        Column("description", String(255), nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("updated_at", String(32), nullable=False),
        Column("revision_number", Integer, nullable=False),
    ]


# One row a project that ever made something here: locked while its quota is counted.
projects = Table(
    "projects",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("default_group_id", String(36), nullable=False),
)

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("amount", Integer, nullable=False),
)

tags = Table(
    "tags",
    metadata,
    Column("resource_id", String(36), primary_key=True),
    Column("tag", String(255), primary_key=True),
)

networks = Table(
    "networks",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("external", Boolean, nullable=False),
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies: projects, or "*"
    Column("external_to", JSON, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("default_external", Integer),  # 1 of the default external network, NULL of all others
    Column("mtu", Integer, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("network_type", String(32), nullable=False),
    Column("physical_network", String(64)),
    Column("segmentation_id", Integer),
    Column("availability_zone_hints", JSON, nullable=False),
    Column("qos_policy_id", String(36)),  # the policy is locked when it is named, and when it is deleted
    Column("dns_domain", String(255), nullable=False),
    Index("ix_networks_project", "project_id"),
    Index("ix_networks_qos_policy", "qos_policy_id"),
    Index("ux_networks_segment", "network_type", "segmentation_id", unique=True),
    Index("ux_networks_physical", "physical_network", unique=True),
    Index("ux_networks_default_external", "default_external", unique=True),
)

subnets = Table(
    "subnets",
    metadata,
    *_standard(),
    Column("network_id", ForeignKey("networks.id"), nullable=False),
    Column("subnetpool_id", String(36)),  # the pool is locked when it is named, and when it is deleted
    Column("ip_version", Integer, nullable=False),
    Column("cidr", String(64), nullable=False),
    Column("gateway_ip", String(64)),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("allocation_pools", JSON, nullable=False),  # [[first, last], …] as text
    Column("dns_nameservers", JSON, nullable=False),
    Column("host_routes", JSON, nullable=False),  # [[destination, nexthop], …]
    Column("service_types", JSON, nullable=False),
    Column(
        "search_from", Number128, nullable=False, server_default="0" * 32
    ),  # where that for a free address continues
    Column("ipv6_ra_mode", String(16)),
    Column("ipv6_address_mode", String(16)),
    Column("born", BigInteger, nullable=False),  # microseconds: the oldest subnet gives addresses first
    Index("ix_subnets_network", "network_id"),
    Index("ix_subnets_project", "project_id"),
    Index("ix_subnets_pool", "subnetpool_id"),
)

ports = Table(
    "ports",
    metadata,
    *_standard(),
    Column("network_id", ForeignKey("networks.id"), nullable=False),
    Column("mac_address", String(17), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("device_id", String(255), nullable=False),
    Column("device_owner", String(255), nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("allowed_address_pairs", JSON, nullable=False),  # [[ip_address, mac_address], …]
    Column("dns_name", String(255), nullable=False),
    Column("dns_domain", String(255), nullable=False),
    Column("extra_dhcp_opts", JSON, nullable=False),  # [[name, value, IP version], …]
    Column("host_id", String(255), nullable=False),
    Column("coming_host_id", String(255), nullable=False, server_default=""),  # where its guest is about to be
    Column("vnic_type", String(64), nullable=False),
    Column("profile", JSON, nullable=False),
    Column("qos_policy_id", String(36)),  # locked as a network's
    Column("trunk_id", String(36)),  # the trunk whose parent it is
    Column("subport_of", String(36)),  # the trunk whose subport it is, with the tag `vlan`
    Column("vlan", Integer),
    UniqueConstraint("network_id", "mac_address"),
    Index("ix_ports_project", "project_id"),
    Index("ix_ports_device", "device_id"),
    Index("ix_ports_host", "host_id"),
    Index("ix_ports_coming_host", "coming_host_id"),
    Index("ix_ports_qos_policy", "qos_policy_id"),
    Index("ux_ports_trunk", "trunk_id", unique=True),
    Index("ux_ports_subport", "subport_of", "vlan", unique=True),
)

ip_allocations = Table(
    "ip_allocations",
    metadata,
    Column("id", Counter, primary_key=True, autoincrement=True),
    Column("port_id", ForeignKey("ports.id", ondelete="CASCADE"), nullable=False),
    Column("subnet_id", ForeignKey("subnets.id"), nullable=False),
    Column("address", Number128, nullable=False),
    Column("ip_address", String(64), nullable=False),
    UniqueConstraint("subnet_id", "address"),
    Index("ix_ip_allocations_port", "port_id"),
)

security_groups = Table(
    "security_groups",
    metadata,
    *_standard(),
    Column("stateful", Boolean, nullable=False),
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies
    Index("ix_security_groups_project", "project_id", "name"),
)

address_groups = Table(
    "address_groups",
    metadata,
    *_standard(),
    Column("addresses", JSON, nullable=False),  # prefixes, without host bits
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies
    Index("ix_address_groups_project", "project_id"),
)

security_group_rules = Table(
    "security_group_rules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("security_group_id", ForeignKey("security_groups.id", ondelete="CASCADE"), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("ethertype", String(8), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(64)),
    Column("remote_group_id", ForeignKey("security_groups.id", ondelete="CASCADE")),
    Column(
        "remote_address_group_id", String(36)
    ),  # the address group is locked when it is named, and when it is deleted
    Column("description", String(255), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("signature", String(255), nullable=False),  # what makes two rules of a group the same
    UniqueConstraint("security_group_id", "signature"),
    Index("ix_security_group_rules_remote", "remote_group_id"),
    Index("ix_security_group_rules_addresses", "remote_address_group_id"),
    Index("ix_security_group_rules_project", "project_id"),
)

# What new security groups begin with. A signature (as of security_group_rules) is unique among those of one kind of groups.
default_security_group_rules = Table(
    "default_security_group_rules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("direction", String(8), nullable=False),
    Column("ethertype", String(8), nullable=False),
    Column("protocol", String(40)),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("remote_ip_prefix", String(64)),
    Column("remote_group_id", ForeignKey("security_groups.id", ondelete="CASCADE")),
    Column("remote_is_parent", Boolean, nullable=False),
    Column("remote_address_group_id", String(36)),
    Column("description", String(255), nullable=False),
    Column("used_in_default_sg", Boolean, nullable=False),
    Column("used_in_non_default_sg", Boolean, nullable=False),
    Column("default_signature", String(255), unique=True),  # None unless used in default groups
    Column("other_signature", String(255), unique=True),  # None unless used in others
    Column("created_at", String(32), nullable=False),
    Index("ix_default_security_group_rules_group", "remote_group_id"),
    Index("ix_default_security_group_rules_addresses", "remote_address_group_id"),
)

port_groups = Table(
    "port_security_groups",
    metadata,
    Column("port_id", ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("security_group_id", ForeignKey("security_groups.id"), primary_key=True),
    Index("ix_port_security_groups_group", "security_group_id"),
)

routers = Table(
    "routers",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("host_id", String(255), nullable=False),  # where it is made; "" while no host can
    Column("withdrawn", Boolean, nullable=False, server_default=false()),  # an administrator took it from its host
    Column("gateway_port_id", String(36)),
    Column("gateway_network_id", ForeignKey("networks.id")),
    Column("enable_snat", Boolean, nullable=False),
    Column("routes", JSON, nullable=False),  # [[destination, nexthop], …]
    Column("availability_zone_hints", JSON, nullable=False),
    Index("ix_routers_project", "project_id"),
    Index("ix_routers_host", "host_id"),
)

# A router's interfaces and gateway: what a port's owner says of itself may be written by its project.
router_ports = Table(
    "router_ports",
    metadata,
    Column("port_id", ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("router_id", ForeignKey("routers.id"), nullable=False),
    Column("owner", String(64), nullable=False),  # network:router_interface or network:router_gateway
    Index("ix_router_ports_router", "router_id"),
)

floating_ips = Table(
    "floating_ips",
    metadata,
    *_standard(),
    Column("floating_network_id", ForeignKey("networks.id"), nullable=False),
    Column("floating_ip_address", String(64), nullable=False),
    Column("floating_port_id", ForeignKey("ports.id"), nullable=False),  # holds the address
    Column("fixed_port_id", ForeignKey("ports.id")),
    Column("fixed_ip_address", String(64)),
    Column("router_id", ForeignKey("routers.id")),
    Column("status", String(16), nullable=False),
    UniqueConstraint("floating_network_id", "fixed_port_id", "fixed_ip_address"),
    Index("ix_floating_ips_project", "project_id"),
    Index("ix_floating_ips_port", "fixed_port_id"),
    Index("ix_floating_ips_router", "router_id"),
    Index("ix_floating_ips_floating_port", "floating_port_id"),
)

port_forwardings = Table(
    "port_forwardings",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("floatingip_id", ForeignKey("floating_ips.id", ondelete="CASCADE"), nullable=False),
    Column("protocol", String(8), nullable=False),
    Column("external_port", Integer),  # None for more than one
    Column("external_port_range", String(16), nullable=False),  # first:last
    Column("internal_port_id", ForeignKey("ports.id", ondelete="CASCADE"), nullable=False),
    Column("internal_ip_address", String(64), nullable=False),
    Column("internal_port", Integer),
    Column("internal_port_range", String(16), nullable=False),
    Column("description", String(255), nullable=False),
    Index("ix_port_forwardings_floatingip", "floatingip_id"),
    Index("ix_port_forwardings_port", "internal_port_id"),
)

rbac_policies = Table(
    "rbac_policies",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("action", String(32), nullable=False),
    Column("target_project", String(255), nullable=False),  # "*": every project
    UniqueConstraint("object_id", "action", "target_project"),
    Index("ix_rbac_policies_project", "project_id"),
    Index("ix_rbac_policies_target", "target_project", "object_type"),
)

address_scopes = Table(
    "address_scopes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies
    Index("ix_address_scopes_project", "project_id"),
)

subnetpools = Table(
    "subnetpools",
    metadata,
    *_standard(),
    Column("ip_version", Integer, nullable=False),
    Column("prefixes", JSON, nullable=False),  # none overlaps another
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("is_default", Boolean, nullable=False),
    Column("default_for", Integer, unique=True),  # the IP version of a default one: there is one of each
    Column("address_scope_id", ForeignKey("address_scopes.id")),
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies
    Index("ix_subnetpools_project", "project_id"),
    Index("ix_subnetpools_scope", "address_scope_id"),
)

qos_policies = Table(
    "qos_policies",
    metadata,
    *_standard(),
    Column("is_default", Boolean, nullable=False),  # of at most one of a project, which is locked meanwhile
    Column("shared_with", JSON, nullable=False),  # targets of its RBAC policies
    Index("ix_qos_policies_project", "project_id"),
)

qos_rules = Table(
    "qos_rules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("qos_policy_id", ForeignKey("qos_policies.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(32), nullable=False),
    Column("direction", String(8), nullable=False),  # "": of a type without
    Column("max_kbps", Integer),
    Column("max_burst_kbps", Integer),
    Column("max_kpps", Integer),
    Column("max_burst_kpps", Integer),
    Column("dscp_mark", Integer),
    UniqueConstraint("qos_policy_id", "type", "direction"),
)

auto_allocated_topologies = Table(
    "auto_allocated_topologies",
    metadata,
    Column("project_id", String(255), primary_key=True),
    Column("network_id", ForeignKey("networks.id", ondelete="CASCADE"), nullable=False),
    Column("router_id", ForeignKey("routers.id", ondelete="SET NULL")),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("agent_type", String(255), nullable=False),
    Column("binary", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("topic", String(255), nullable=False),
    Column("availability_zone", String(255), nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("description", String(255), nullable=False),
    Column("configurations", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("started_at", String(32), nullable=False),
    Column("heartbeat_timestamp", String(32), nullable=False),
    Column("feed_revision", Integer, nullable=False, server_default="0"),  # how often the host's state has changed
    UniqueConstraint("agent_type", "host"),
)

flavors = Table(
    "flavors",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", String(1024), nullable=False),
    Column("service_type", String(36), nullable=False),
    Column("enabled", Boolean, nullable=False),
)

service_profiles = Table(
    "service_profiles",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("description", String(1024), nullable=False),
    Column("driver", String(1024), nullable=False),
    Column("metainfo", String(4096), nullable=False),
    Column("enabled", Boolean, nullable=False),
)

flavor_service_profiles = Table(
    "flavor_service_profiles",
    metadata,
    Column("flavor_id", ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True),
    Column("service_profile_id", ForeignKey("service_profiles.id"), primary_key=True),
    Index("ix_flavor_service_profiles_profile", "service_profile_id"),
)

metering_labels = Table(
    "metering_labels",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", String(1024), nullable=False),
    Column("shared", Boolean, nullable=False),  # routers of every project are metered
    Index("ix_metering_labels_project", "project_id"),
)

metering_label_rules = Table(
    "metering_label_rules",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(255), nullable=False),  # the label's
    Column("metering_label_id", ForeignKey("metering_labels.id", ondelete="CASCADE"), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("excluded", Boolean, nullable=False),
    Column("remote_ip_prefix", String(64)),
    Column("source_ip_prefix", String(64)),
    Column("destination_ip_prefix", String(64)),
    Index("ix_metering_label_rules_label", "metering_label_id"),
    Index("ix_metering_label_rules_project", "project_id"),
)

# What the last of these changes were about; a revision that is missing: the agent asks for everything.
host_changes = Table(
    "host_changes",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("news", Text, nullable=False),  # hosts/news.News, JSON
)

trunks = Table(
    "trunks",
    metadata,
    *_standard(),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_id", ForeignKey("ports.id"), nullable=False),
    Index("ix_trunks_project", "project_id"),
    Index("ix_trunks_port", "port_id"),
)
