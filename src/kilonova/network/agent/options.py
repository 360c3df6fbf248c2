"""What an operator may set for the parts of a data plane."""

from __future__ import annotations

import msgspec

from kilonova.core.addresses import parse_address
from kilonova.network.agent.system.names import DEVICE, HOSTNAME


class DataPlaneOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`l2`, `firewall`, `overlay`, `dhcp` and `l3` name the parts (`registry.PARTS`).
    `state_dir` keeps dnsmasq's files and the last applied state. `instance` (1 to 4 of a-z0-9) prefixes chains and
    tables and marks devices, so that several clouds can share a host. `mark` is the one bit of the packet mark that the
    filters use. `tunnel_ip` is an IPv4 address of this host that the other hosts send guests' frames to; "": no tunnels.
    `bridge_mappings` are physical networks, each with the bridge of this host that leads there.
    Times are in seconds."""

    state_dir: str
    l2: str = "bridge"
    firewall: str = "iptables"
    overlay: str = "vxlan"
    dhcp: str = "dnsmasq"
    l3: str = "namespace"
    instance: str = "kn"
    mark: int = 0x10000
    lease_time: int = 86400
    dns_domain: str = ""
    tunnel_ip: str = ""
    vxlan_port: int = 4789
    bridge_mappings: dict[str, str] = {}
    dnsmasq_user: str = ""  # "": dnsmasq where that user exists and can read state_dir, else root
    command_timeout: float = 30.0

    def __post_init__(self) -> None:
        if not (1 <= len(self.instance) <= 4 and self.instance.isascii() and self.instance.isalnum()):
            raise ValueError(f"instance must be 1 to 4 letters or digits, not {self.instance!r}")
        if self.mark <= 0 or self.mark & (self.mark - 1) or self.mark > 0x80000000:
            raise ValueError("mark must be one bit")
        if self.tunnel_ip and parse_address(self.tunnel_ip).version != 4:
            raise ValueError(f"tunnel_ip must be an IPv4 address, not {self.tunnel_ip!r}")
        if self.dns_domain and not HOSTNAME.fullmatch(self.dns_domain):
            raise ValueError(f"dns_domain must be a domain name, not {self.dns_domain!r}")
        for physical, bridge in self.bridge_mappings.items():
            if not physical or not DEVICE.fullmatch(bridge):
                raise ValueError(
                    f"bridge_mappings must name a bridge for each physical network, not {physical!r}: {bridge!r}"
                )
        if not 1 <= self.vxlan_port <= 65535:
            raise ValueError(f"vxlan_port must be from 1 to 65535, not {self.vxlan_port}")
