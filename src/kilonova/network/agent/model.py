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


def router_namespace(router_id: str) -> str:
    """The namespace that is a router, as upstream names it."""
    return "qrouter-" + router_id


def host_name(name: str, ip_address: str) -> str:
    """Of a port's address: the port's name, or one made of the address."""
    return name or f"host-{ip_address.replace('.', '-').replace(':', '-')}"


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
    ipv6_address_mode: str | None = None  # None (addresses as with dhcpv6-stateful), or one of RA_MODES


class DhcpOption(msgspec.Struct, frozen=True, kw_only=True):
    """What DHCP tells a port beside, or instead of, what its subnet says. `value` "": nothing, whatever the subnet says."""

    name: str
    value: str
    ip_version: int = 4


class PortModel(msgspec.Struct, frozen=True, kw_only=True):
    """A port bound to this host, or (`local=False`) one of the same network on a host that a tunnel leads to: one that was there
    when this host joined the network, or another one did."""

    id: str
    network_id: str
    project_id: str
    mac_address: str
    fixed_ips: tuple[FixedIP, ...] = ()
    device_id: str = ""  # the server's uuid
    device_owner: str = ""
    hostname: str = ""  # name handed out by DHCP, whole with a dot at its end; "" for host-10-0-0-5 style
    dns_domain: str = ""  # of its name, instead of its network's
    admin_state_up: bool = True
    port_security_enabled: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    dhcp_options: tuple[DhcpOption, ...] = ()
    local: bool = True
    tunnel_ip: str = ""  # of the other host that it is on
    qos_policy_id: str = ""  # of a local one: which of `qos_policies` holds for it, its own or its network's; "": none


class NetworkModel(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    mtu: int = 1500
    subnets: tuple[SubnetModel, ...] = ()
    ports: tuple[PortModel, ...] = ()
    dhcp_port_id: str | None = None
    dhcp_mac: str | None = None
    segmentation_id: int | None = None  # of a network whose hosts are joined by VXLAN
    dns_domain: str = ""  # of its ports' names, instead of the cloud's
    physical_network: str | None = None  # of a flat network: its segment is joined to this key of `bridge_mappings`


class RuleModel(msgspec.Struct, frozen=True, kw_only=True):
    """A security group rule. `protocol` is None (any), a name (tcp, udp, icmp, ipv6-icmp …) or a number as text; for
    icmp the port range is type and code. `remote_group_id` matches the members of that group. A port whose rules are `stateless`
    (those of all its groups are, or none) gets and sends what they name, and no answers for that."""

    id: str
    direction: str  # ingress | egress
    ethertype: str  # IPv4 | IPv6
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    stateless: bool = False


class SecurityGroupModel(msgspec.Struct, frozen=True, kw_only=True):
    """`members` are the addresses of all ports in the group on every host, where a rule refers to it."""

    id: str
    rules: tuple[RuleModel, ...] = ()
    members: tuple[str, ...] = ()


RA_MODES = ("slaac", "dhcpv6-stateless", "dhcpv6-stateful")
"""Where guests have their IPv6 addresses from: made of the prefix, with or without other settings by DHCPv6, or all by DHCPv6."""


class AdvertisementModel(msgspec.Struct, frozen=True, kw_only=True):
    """An IPv6 subnet that a router advertises on an interface. `mode` is one of RA_MODES (the subnet's `ipv6_ra_mode`)."""

    cidr: str
    mode: str = "slaac"
    dns_nameservers: tuple[str, ...] = ()


class RouterPortModel(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a router. `addresses` have their subnet's prefix length (`10.0.0.1/24`), IPv4 and IPv6."""

    port_id: str
    network_id: str
    mac_address: str
    addresses: tuple[str, ...]
    advertises: tuple[AdvertisementModel, ...] = ()


class GatewayModel(RouterPortModel, frozen=True, kw_only=True):
    """The port on the external network. `next_hops` are the gateways of its subnets, one of each IP version at most: the default
    routes. With `enable_snat` guests without a floating IP leave with the first IPv4 address, but for those in the prefixes
    `same_scope`: the IPv4 prefixes of the router's networks that are in the external network's address scope."""

    next_hops: tuple[str, ...] = ()
    enable_snat: bool = True
    same_scope: tuple[str, ...] = ()


class PortForwardingModel(msgspec.Struct, frozen=True, kw_only=True):
    """`protocol` is tcp, udp, sctp or dccp; ports are (first, last). The internal range is as long as the external one, or one
    port for all of it."""

    id: str
    protocol: str
    external_ports: tuple[int, int]
    internal_ip_address: str
    internal_ports: tuple[int, int]


class FloatingIPModel(msgspec.Struct, frozen=True, kw_only=True):
    """An IPv4 address of the external network: all of it goes to `fixed_ip_address` of port `port_id`, or ("") only what
    `port_forwardings` name."""

    id: str
    floating_ip_address: str
    fixed_ip_address: str = ""
    port_id: str = ""
    port_forwardings: tuple[PortForwardingModel, ...] = ()


class MeterRuleModel(msgspec.Struct, frozen=True, kw_only=True):
    """Packets that come from outside (ingress) or go there (egress), by addresses as they are inside; "": any. Those of an
    `excluded` rule are not counted."""

    direction: str
    excluded: bool = False
    source: str = ""
    destination: str = ""


class MeterModel(msgspec.Struct, frozen=True, kw_only=True):
    """A metering label; each packet counts once, whatever number of its rules match."""

    id: str
    rules: tuple[MeterRuleModel, ...] = ()


class RouterModel(msgspec.Struct, frozen=True, kw_only=True):
    """A router of this host. `routes` are (destination prefix, next hop), the next hop on one of its networks.

    Each of its ports is also a local port of its network in `networks`, without port security: so the network's segment is on
    this host, no filter stops what is routed, and the port is reported up when it is plugged. One that is administratively
    down is not made."""

    id: str
    project_id: str
    admin_state_up: bool = True
    interfaces: tuple[RouterPortModel, ...] = ()
    gateway: GatewayModel | None = None
    routes: tuple[tuple[str, str], ...] = ()
    floating_ips: tuple[FloatingIPModel, ...] = ()
    meters: tuple[MeterModel, ...] = ()


class BandwidthLimitModel(msgspec.Struct, frozen=True, kw_only=True):
    """Kilobits (1000 bits) a second, and at once; a rate of 0 is no limit, a burst of 0 the data plane's choice."""

    direction: str  # egress (from the port) | ingress (to the port)
    max_kbps: int
    max_burst_kbps: int = 0


class PacketRateLimitModel(msgspec.Struct, frozen=True, kw_only=True):
    """Thousands of packets a second, and at once; 0 as with bandwidth."""

    direction: str
    max_kpps: int
    max_burst_kpps: int = 0


class QosPolicyModel(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for each port that names it. `dscp_mark` is what all packets from the port carry; None: as the guest says."""

    id: str
    bandwidth_limits: tuple[BandwidthLimitModel, ...] = ()
    packet_rate_limits: tuple[PacketRateLimitModel, ...] = ()
    dscp_mark: int | None = None


class SubportModel(msgspec.Struct, frozen=True, kw_only=True):
    """A port of this host, carried by another one with this VLAN tag."""

    port_id: str
    network_id: str
    vlan: int


class TrunkModel(msgspec.Struct, frozen=True, kw_only=True):
    """`parent_id` is the port that carries the subports."""

    id: str
    parent_id: str
    subports: tuple[SubportModel, ...] = ()


class HostModel(msgspec.Struct, frozen=True, kw_only=True):
    """All that a host must have. What is not named here and was made by us is removed.

    Each field is a section: the agent asks for those that its data plane declares, and one that it does not know is ignored. A
    section that comes with a later release has the type `tuple[…] | None` and the default None: not sent, as the network
    service is older or was not asked; that is not an empty one."""

    networks: tuple[NetworkModel, ...] = ()
    security_groups: tuple[SecurityGroupModel, ...] = ()
    routers: tuple[RouterModel, ...] | None = None
    qos_policies: tuple[QosPolicyModel, ...] | None = None
    trunks: tuple[TrunkModel, ...] | None = None
