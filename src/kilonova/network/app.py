"""The network service: its API, made of RESOURCES, and its topics on the bus."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from kilonova.core.db.outbox import Outbox
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import network_format
from kilonova.core.web.resource import rules_of
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkPluginAPI
from kilonova.network.deps import Deps, alive_since
from kilonova.network.hosts.announcer import Announcer
from kilonova.network.hosts.compute_events import ComputeEvents, ComputeNotifier
from kilonova.network.hosts.metadata_callers import MetadataCallers
from kilonova.network.hosts.meters import MeterNotifications
from kilonova.network.hosts.model import HostLogic
from kilonova.network.hosts.plugin import NetworkPlugin
from kilonova.network.options import NetworkOptions
from kilonova.network.resources.address_groups.routes import ADDRESS_GROUPS_RESOURCE
from kilonova.network.resources.address_scopes.routes import ADDRESS_SCOPES_RESOURCE
from kilonova.network.resources.agent_schedulers.routes import AGENT_SCHEDULERS_RESOURCE
from kilonova.network.resources.agents.logic import AgentLogic
from kilonova.network.resources.agents.routes import AGENTS_RESOURCE
from kilonova.network.resources.auto_allocated_topology.routes import AUTO_ALLOCATED_TOPOLOGY_RESOURCE
from kilonova.network.resources.availability_zones import AVAILABILITY_ZONES_RESOURCE
from kilonova.network.resources.base import policies as base
from kilonova.network.resources.base.resource import AnyResource, Api, counted
from kilonova.network.resources.default_security_group_rules.routes import DEFAULT_SECURITY_GROUP_RULES_RESOURCE
from kilonova.network.resources.discovery import DISCOVERY_RESOURCE
from kilonova.network.resources.flavors.routes import FLAVORS_RESOURCE
from kilonova.network.resources.floating_ips.routes import FLOATING_IPS_RESOURCE
from kilonova.network.resources.metering_label_rules import METERING_LABEL_RULES_RESOURCE
from kilonova.network.resources.metering_labels import METERING_LABELS_RESOURCE
from kilonova.network.resources.network_ip_availability import NETWORK_IP_AVAILABILITY_RESOURCE
from kilonova.network.resources.networks.routes import NETWORKS_RESOURCE
from kilonova.network.resources.port_forwardings.routes import PORT_FORWARDINGS_RESOURCE
from kilonova.network.resources.ports.routes import PORTS_RESOURCE
from kilonova.network.resources.qos_policies.routes import QOS_POLICIES_RESOURCE
from kilonova.network.resources.qos_rules.routes import QOS_RULE_ALIASES_RESOURCE, QOS_RULE_TYPES_RESOURCE, QOS_RULES
from kilonova.network.resources.quotas.routes import QUOTAS_RESOURCE
from kilonova.network.resources.rbac_policies.routes import RBAC_POLICIES_RESOURCE
from kilonova.network.resources.routers.routes import ROUTERS_RESOURCE
from kilonova.network.resources.security_group_rules.routes import SECURITY_GROUP_RULES_RESOURCE
from kilonova.network.resources.security_groups.routes import SECURITY_GROUPS_RESOURCE
from kilonova.network.resources.service_profiles.routes import SERVICE_PROFILES_RESOURCE
from kilonova.network.resources.subnetpools.routes import SUBNETPOOLS_RESOURCE
from kilonova.network.resources.subnets.routes import SUBNETS_RESOURCE
from kilonova.network.resources.tags import TAGS_RESOURCE
from kilonova.network.resources.trunks.routes import TRUNKS_RESOURCE
from kilonova.network.tables import metadata, outbox

MIGRATIONS = Path(__file__).parent / "migrations"
RESOURCES: tuple[AnyResource, ...] = (
    DISCOVERY_RESOURCE,
    NETWORKS_RESOURCE,
    NETWORK_IP_AVAILABILITY_RESOURCE,
    SUBNETS_RESOURCE,
    SUBNETPOOLS_RESOURCE,
    PORTS_RESOURCE,
    ROUTERS_RESOURCE,
    FLOATING_IPS_RESOURCE,
    PORT_FORWARDINGS_RESOURCE,
    SECURITY_GROUPS_RESOURCE,
    SECURITY_GROUP_RULES_RESOURCE,
    DEFAULT_SECURITY_GROUP_RULES_RESOURCE,
    ADDRESS_GROUPS_RESOURCE,
    ADDRESS_SCOPES_RESOURCE,
    RBAC_POLICIES_RESOURCE,
    QOS_POLICIES_RESOURCE,
    *QOS_RULES,
    QOS_RULE_ALIASES_RESOURCE,
    QOS_RULE_TYPES_RESOURCE,
    AUTO_ALLOCATED_TOPOLOGY_RESOURCE,
    AGENTS_RESOURCE,
    AGENT_SCHEDULERS_RESOURCE,
    AVAILABILITY_ZONES_RESOURCE,
    TRUNKS_RESOURCE,
    METERING_LABELS_RESOURCE,
    METERING_LABEL_RULES_RESOURCE,
    FLAVORS_RESOURCE,
    SERVICE_PROFILES_RESOURCE,
    QUOTAS_RESOURCE,
    TAGS_RESOURCE,
)
"""Adding a resource is its folder and a line here."""
RULES = base.RULES | rules_of(RESOURCES)
"""Policy rules, with upstream's names."""


class NetworkService:
    """Neutron's API under `/network`, and the bus topics `network` and `network_events`. No other process that shares the
    topics has this `host`; it is the same after a restart."""

    prefix = "/network"

    def __init__(
        self, core: Core, options: NetworkOptions | None = None, *, host: str = "network",
        resources: Sequence[AnyResource] = RESOURCES,
    ) -> None:  # fmt: skip
        options = options or NetworkOptions()
        self.core, self._host = core, host
        self.database = core.database("network", metadata)
        self.outbox = Outbox(self.database, outbox, core.bus)
        announcer = Announcer(partial(alive_since, core.clock, options))
        deps = Deps(
            database=self.database, clock=core.clock, options=options, announcer=announcer, counted=counted(resources)
        )
        self.routes = Api(deps, resources).routes()
        web = core.web("network", network_format, core.policy("network", base.RULES | rules_of(resources)))
        self.app = build_app(web, self.routes)
        self._events = ComputeEvents(core, max_age=options.event_max_age)
        self._plugin = NetworkPlugin(
            HostLogic(deps),
            AgentLogic(deps),
            MeterNotifications(deps, core.notifier),
            MetadataCallers(deps, core.grants),
            self.outbox,
        )

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        await self.core.bus.serve(NetworkPluginAPI, self._plugin, host=self._host)
        await self.core.bus.serve(ComputeNotifierAPI, ComputeNotifier(self._events), host=self._host, concurrency=1024)
        await self.outbox.resume()

    async def stop(self) -> None:
        await self.outbox.close()  # first, so that nothing counts as delivered that only ends here
        await self._events.stop()
        await self.core.bus.withdraw(ComputeNotifierAPI, host=self._host)
        await self.core.bus.withdraw(NetworkPluginAPI, host=self._host)
        await self.database.close()
