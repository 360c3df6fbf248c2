"""All resources of the API. Adding one is its folder and a line here."""

from __future__ import annotations

from kilonova.network.resources.agents.routes import AGENTS
from kilonova.network.resources.availability_zones import AVAILABILITY_ZONES
from kilonova.network.resources.base.resource import Resource
from kilonova.network.resources.discovery import DISCOVERY
from kilonova.network.resources.network_ip_availability import NETWORK_IP_AVAILABILITY
from kilonova.network.resources.networks.routes import NETWORKS
from kilonova.network.resources.ports.routes import PORTS
from kilonova.network.resources.quotas.routes import QUOTAS
from kilonova.network.resources.security_group_rules.routes import SECURITY_GROUP_RULES
from kilonova.network.resources.security_groups.routes import SECURITY_GROUPS
from kilonova.network.resources.subnets.routes import SUBNETS
from kilonova.network.resources.tags import TAGS

RESOURCES: tuple[Resource, ...] = (
    DISCOVERY,
    NETWORKS,
    NETWORK_IP_AVAILABILITY,
    SUBNETS,
    PORTS,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    AGENTS,
    AVAILABILITY_ZONES,
    QUOTAS,
    TAGS,
)
