"""Settings of the network service and its agents: the section `[network]` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from kilonova.core.addresses import parse_address, parse_mac

DEFAULT_QUOTAS: Mapping[str, int] = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "security_group": 10,
    "security_group_rule": 100,
}


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. A quota of -1 means no limit. `network_type` is what networks become whose maker asks for nothing:
    `local` (one host, or hosts that are not joined) or `vxlan` (joined by tunnels; hosts then need `dataplane.tunnel_ip`),
    with segmentation ids of `vni_range`. `mtu` is the underlay's: tunnels take 50 bytes of it."""

    mtu: int = 1500
    network_type: Literal["local", "vxlan"] = "local"
    vni_range: tuple[int, int] = (1, 16777215)
    mac_base: str = "fa:16:3e"  # three octets that every generated address begins with
    dns_servers: tuple[str, ...] = ()  # of subnets that name none
    quota_network: int = DEFAULT_QUOTAS["network"]
    quota_subnet: int = DEFAULT_QUOTAS["subnet"]
    quota_port: int = DEFAULT_QUOTAS["port"]
    quota_security_group: int = DEFAULT_QUOTAS["security_group"]
    quota_security_group_rule: int = DEFAULT_QUOTAS["security_group_rule"]
    agent_down_time: float = 75
    report_interval: float = 30
    availability_zone: str = "nova"
    max_bulk: int = 500  # networks, subnets, ports, groups or rules that one request may make
    event_max_age: float = 600  # how long events for compute are retried while it is away

    def __post_init__(self) -> None:
        if self.max_bulk < 1:
            raise ValueError(f"max_bulk must be at least 1, not {self.max_bulk}")
        parse_mac(f"{self.mac_base}:00:00:00")
        for server in self.dns_servers:
            parse_address(server)
        first, last = self.vni_range
        if not 1 <= first <= last < 1 << 24:
            raise ValueError(
                f"vni_range must be two numbers from 1 to 16777215, the smaller first, not {first}, {last}"
            )

    def quota(self, resource: str) -> int:
        """The limit of a project without one of its own."""
        return int(getattr(self, f"quota_{resource}"))
