"""What a host's network must look like: the small form that the network service compiles and a data plane applies.

The network service sends a host's whole state or the parts that changed; a data plane makes the host so. Names of
devices come from here, so that every component agrees on them.
"""

from __future__ import annotations

import msgspec


def tap_name(port_id: str) -> str:
    """The tap device of a port, as upstream names it (15 characters at most)."""
    return "tap" + port_id[:11]


def bridge_name(network_id: str) -> str:
    """The Linux bridge of a network, as upstream's Linux bridge agent named it."""
    return "brq" + network_id[:11]


def dhcp_namespace(network_id: str) -> str:
    """The namespace where a network's DHCP server and metadata proxy live."""
    return "qdhcp-" + network_id


class FixedIP(msgspec.Struct, frozen=True, kw_only=True):
    subnet_id: str
    ip_address: str


class AddressPair(msgspec.Struct, frozen=True, kw_only=True):
    """Another source address the port may use: an address or prefix, and a MAC (None: the port's own)."""

    ip_address: str
    mac_address: str | None = None


class SubnetModel(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    cidr: str
    ip_version: int = 4
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (destination prefix, next hop)
    dhcp_ip: str | None = None  # address of the DHCP port in this subnet


class PortModel(msgspec.Struct, frozen=True, kw_only=True):
    """A port bound to this host, or (`local=False`) one of the same network elsewhere, known for its DHCP lease."""

    id: str
    network_id: str
    project_id: str
    mac_address: str
    fixed_ips: tuple[FixedIP, ...] = ()
    device_id: str = ""  # the server's uuid
    device_owner: str = ""
    hostname: str = ""  # name handed out by DHCP; "" for host-10-0-0-5 style
    admin_state_up: bool = True
    port_security_enabled: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    local: bool = True
    tunnel_ip: str = ""  # of the other host that it is on


class NetworkModel(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    mtu: int = 1500
    subnets: tuple[SubnetModel, ...] = ()
    ports: tuple[PortModel, ...] = ()
    dhcp_port_id: str | None = None
    dhcp_mac: str | None = None
    segmentation_id: int | None = None  # of a network whose hosts are joined by VXLAN


class RuleModel(msgspec.Struct, frozen=True, kw_only=True):
    """A security group rule. `protocol` is None (any), a name (tcp, udp, icmp, ipv6-icmp …) or a number as text; for
    icmp the port range is type and code. `remote_group_id` matches the members of that group."""

    id: str
    direction: str  # ingress | egress
    ethertype: str  # IPv4 | IPv6
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class SecurityGroupModel(msgspec.Struct, frozen=True, kw_only=True):
    """`members` are the addresses of all ports in the group on every host, where a rule refers to it."""

    id: str
    rules: tuple[RuleModel, ...] = ()
    members: tuple[str, ...] = ()


class HostModel(msgspec.Struct, frozen=True, kw_only=True):
    """All a host must show. What is not named here and was made by us is to be taken away.

    Each field is a section: the agent asks for those that its data plane declares, and one that it does not know is ignored. A
    section that comes with a later release has the type `tuple[…] | None` and the default None: not sent, as the network
    service is older or was not asked; that is not an empty one."""

    networks: tuple[NetworkModel, ...] = ()
    security_groups: tuple[SecurityGroupModel, ...] = ()
