"""Ports: what the API knows of them."""

from __future__ import annotations

from kilonova.core.addresses import parse_mac
from kilonova.network.resources.base.grants import HostAccess
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.ports.grants import covers
from kilonova.network.resources.ports.logic import PortLogic
from kilonova.network.resources.ports.policies import RULES
from kilonova.network.resources.ports.schemas import Port, PortCreate, PortUpdate

PORTS_RESOURCE = CrudResource(
    name="port",
    collection="ports",
    path="ports",
    view=Port,
    create=PortCreate,
    update=PortUpdate,
    extra={"fixed_ips": str, "security_groups": str},
    addresses={"mac_address": parse_mac},
    derived=frozenset({"binding:vif_type", "qos_network_policy_id"}),
    rules=RULES,
    writer="any_writer",
    see_new="see_network",
    hosts=HostAccess("device_id", "server", covers),
    logic=PortLogic,
    quota=True,
    listed=True,
    extensions=(
        Extension(
            "allowed-address-pairs", "Allowed Address Pairs", "2013-07-23T10:00:00-00:00",
            "More source addresses for a port",
        ),
        Extension("binding", "Port Binding", "2014-02-03T10:00:00-00:00", "Ports are bound to hosts"),
        Extension("dns-domain-ports", "dns_domain for ports", "2017-06-25T18:00:00-00:00", "Domains of single ports"),
        Extension("dns-integration", "DNS Integration", "2015-08-15T18:00:00-00:00", "Names of ports"),
        Extension(
            "extra_dhcp_opt", "Neutron Extra DHCP options", "2013-03-17T12:00:00-00:00", "DHCP options of single ports"
        ),
        Extension(
            "ip-substring-filtering", "IP address substring filtering", "2017-11-28T09:00:00-00:00",
            "Ports by a part of an address",
        ),
        Extension(
            "port-mac-address-regenerate", "Neutron Port MAC address regenerate", "2018-05-03T10:00:00-00:00",
            "Ports get a new MAC address",
        ),
        Extension(
            "port-mac-override", "Neutron Port MAC address override", "2022-03-18T10:00:00-00:00",
            "Ports with a chosen MAC address",
        ),
        Extension("port-security", "Port Security", "2012-07-23T10:00:00-00:00", "Ports without filters"),
        Extension(
            "port-security-groups-filtering", "Port filtering on security groups", "2018-01-09T09:00:00-00:00",
            "Ports by security group",
        ),
        Extension(
            "tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation", "2019-12-29T19:00:00-00:00",
            "Ports made with tags",
        ),
    ),
)  # fmt: skip
