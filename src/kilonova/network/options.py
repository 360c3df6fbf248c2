"""Settings of the network service and its agents: the section `[network]` of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kilonova.core.addresses import parse_address, parse_mac
from kilonova.core.config import derived, doc


class NetworkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Networks whose request names no type become `network_type`: local (one host, or hosts that are not joined) or vxlan (joined
    by tunnels; hosts then need `dataplane.tunnel_ip`)."""

    mtu: Annotated[int, doc("MTU of the network between the hosts; tunnels take 50 bytes of it.", ge=68)] = 1500
    network_type: Annotated[Literal["local", "vxlan"], doc("Type of networks whose request names none.")] = "local"
    vni_range: Annotated[tuple[int, int], doc("First and last segmentation id of vxlan networks.")] = (1, 16777215)
    mac_base: Annotated[str, doc("First three octets of generated MAC addresses.")] = "fa:16:3e"
    dns_servers: Annotated[tuple[str, ...], doc("Name servers of subnets that name none.")] = ()
    dns_domain: Annotated[str, derived("dataplane.dns_domain")] = ""
    quota_network: Annotated[int, doc("Networks of a project; -1: any number.", ge=-1)] = 100
    quota_subnet: Annotated[int, doc("Subnets of a project.", ge=-1)] = 100
    quota_subnetpool: Annotated[int, doc("Subnet pools of a project.", ge=-1)] = -1
    quota_port: Annotated[int, doc("Ports of a project.", ge=-1)] = 500
    quota_security_group: Annotated[int, doc("Security groups of a project.", ge=-1)] = 10
    quota_security_group_rule: Annotated[int, doc("Rules of all security groups of a project.", ge=-1)] = 100
    quota_router: Annotated[int, doc("Routers of a project.", ge=-1)] = 10
    quota_trunk: Annotated[int, doc("Trunks of a project.", ge=-1)] = 50
    quota_rbac_policy: Annotated[int, doc("RBAC policies of a project.", ge=-1)] = 10
    quota_floatingip: Annotated[int, doc("Floating IPs of a project.", ge=-1)] = 50
    agent_down_time: Annotated[float, doc("Seconds after which a silent network agent is down.", gt=0)] = 75
    report_interval: Annotated[float, doc("Seconds between two reports of a network agent.", gt=0)] = 30
    metering_interval: Annotated[float, doc("Seconds between two reports of what metering labels counted.", gt=0)] = 300
    availability_zone: Annotated[str, doc("Zone that network agents are shown in.")] = "nova"
    max_bulk: Annotated[int, doc("Networks, subnets, ports, groups or rules that one request may make.", ge=1)] = 500
    event_max_age: Annotated[
        float, doc("Seconds that events for compute are retried while it is unreachable.", ge=0)
    ] = 600

    def __post_init__(self) -> None:
        parse_mac(f"{self.mac_base}:00:00:00")
        for server in self.dns_servers:
            parse_address(server)
        first, last = self.vni_range
        if not 1 <= first <= last < 1 << 24:
            raise ValueError(
                f"vni_range must be two numbers from 1 to 16777215, the smaller first, not {first}, {last}"
            )

    def quota(self, resource: str) -> int:
        """The limit of a project without one of its own: what the setting `quota_RESOURCE` says."""
        return int(getattr(self, f"quota_{resource}"))
