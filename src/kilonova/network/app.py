"""The route table of the network service, and the service around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kilonova.core.db.outbox import Outbox
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.errors import network_format
from kilonova.network import policies
from kilonova.network.agent.interface import ComputeNotifierAPI, NetworkPluginAPI
from kilonova.network.hosts.announcer import Announcer
from kilonova.network.hosts.compute_events import ComputeEvents, ComputeNotifier
from kilonova.network.hosts.model import HostLogic
from kilonova.network.hosts.plugin import NetworkPlugin
from kilonova.network.options import NetworkOptions
from kilonova.network.projects import Projects
from kilonova.network.resources.agents.handlers import Agents
from kilonova.network.resources.agents.logic import AgentLogic
from kilonova.network.resources.base.handlers import Readable
from kilonova.network.resources.base.logic import Deps
from kilonova.network.resources.discovery import handlers as discovery
from kilonova.network.resources.networks.handlers import Networks
from kilonova.network.resources.networks.logic import NetworkLogic
from kilonova.network.resources.ports.handlers import Ports
from kilonova.network.resources.ports.logic import PortLogic
from kilonova.network.resources.quotas.handlers import Quotas
from kilonova.network.resources.quotas.logic import QuotaLogic
from kilonova.network.resources.security_groups.handlers import SecurityGroups
from kilonova.network.resources.security_groups.logic import SecurityGroupLogic
from kilonova.network.resources.subnets.handlers import Subnets
from kilonova.network.resources.subnets.logic import SubnetLogic
from kilonova.network.resources.tags.handlers import Tags
from kilonova.network.resources.tags.logic import TagLogic
from kilonova.network.tables import metadata, outbox

MIGRATIONS = Path(__file__).parent / "migrations"
BULK = 8 << 20  # bytes of a body that makes many things
ID = "/{id:str}"


def routes(
    networks: Networks, subnets: Subnets, ports: Ports, groups: SecurityGroups, agents: Agents, quotas: Quotas,
    tags: dict[str, Tags],
) -> list[Route]:  # fmt: skip
    v2 = "/v2.0"
    n, s, p, g, r = (f"{v2}/{x}" for x in ("networks", "subnets", "ports", "security-groups", "security-group-rules"))
    a, q = f"{v2}/agents", f"{v2}/quotas"
    availability = f"{v2}/network-ip-availabilities"
    return [
        Route("GET", "/", discovery.versions, public=True),
        Route("GET", v2, discovery.resources, public=True),
        Route("GET", f"{v2}/extensions", discovery.extensions, "get_extensions"),
        Route("GET", f"{v2}/extensions/{{alias:str}}", discovery.extension, "get_extensions"),
        Route("GET", f"{v2}/service-providers", discovery.no_providers, "get_service_provider"),
        Route("GET", n, networks.list, "get_network"),
        Route("POST", n, networks.create, "any_writer", 201, max_body=BULK),
        Route("GET", n + ID, networks.show, "get_network"),
        Route("PUT", n + ID, networks.update, "update_network"),
        Route("DELETE", n + ID, networks.delete, "delete_network", 204),
        Route("GET", availability, networks.availability, "get_network_ip_availability"),
        Route("GET", availability + ID, networks.availability_of, "get_network_ip_availability"),
        Route("GET", s, subnets.list, "get_subnet"),
        Route("POST", s, subnets.create, "any_writer", 201, max_body=BULK),
        Route("GET", s + ID, subnets.show, "get_subnet"),
        Route("PUT", s + ID, subnets.update, "update_subnet"),
        Route("DELETE", s + ID, subnets.delete, "delete_subnet", 204),
        Route("GET", p, ports.list, "get_port"),
        Route("POST", p, ports.create, "any_writer", 201, max_body=BULK),
        Route("GET", p + ID, ports.show, "get_port"),
        Route("PUT", p + ID, ports.update, "update_port"),
        Route("DELETE", p + ID, ports.delete, "delete_port", 204),
        Route("GET", g, groups.list, "get_security_group"),
        Route("POST", g, groups.create, "create_security_group", 201),
        Route("GET", g + ID, groups.show, "get_security_group"),
        Route("PUT", g + ID, groups.update, "update_security_group"),
        Route("DELETE", g + ID, groups.delete, "delete_security_group", 204),
        Route("GET", r, groups.list_rules, "get_security_group_rule"),
        Route("POST", r, groups.create_rules, "create_security_group_rule", 201),
        Route("GET", r + ID, groups.show_rule, "get_security_group_rule"),
        Route("DELETE", r + ID, groups.delete_rule, "delete_security_group_rule", 204),
        Route("GET", a, agents.list, "get_agent"),
        Route("GET", a + ID, agents.show, "get_agent"),
        Route("PUT", a + ID, agents.update, "update_agent"),
        Route("DELETE", a + ID, agents.delete, "delete_agent", 204),
        Route("GET", f"{v2}/availability_zones", agents.zones, "get_availability_zone"),
        Route("GET", q, quotas.list, "get_quota"),
        Route("GET", q + "/{project_id:str}", quotas.show, "get_quota"),
        Route("GET", q + "/{project_id:str}/default", quotas.defaults, "get_quota"),
        Route("GET", q + "/{project_id:str}/details", quotas.details, "get_quota"),
        Route("GET", q + "/{project_id:str}/details.json", quotas.details, "get_quota"),
        Route("PUT", q + "/{project_id:str}", quotas.update, "update_quota"),
        Route("DELETE", q + "/{project_id:str}", quotas.reset, "delete_quota", 204),
        *(route for path, owner in tags.items() for route in _tag_routes(f"{v2}/{path}{ID}/tags", owner)),
    ]


def _tag_routes(path: str, tags: Tags) -> list[Route]:
    resource = tags.owner.shape.resource
    one = path + "/{tag:str}"
    return [
        Route("GET", path, tags.list, f"get_{resource}"),
        Route("PUT", path, tags.replace, f"update_{resource}"),
        Route("POST", path, tags.extend, f"update_{resource}", 201),
        Route("DELETE", path, tags.clear, f"update_{resource}", 204),
        Route("GET", one, tags.show, f"get_{resource}", 204),
        Route("PUT", one, tags.add, f"update_{resource}", 201),
        Route("DELETE", one, tags.remove, f"update_{resource}", 204),
    ]


class NetworkService:
    """Neutron's API under `/network`, and the bus topics `network` and `network_events`. No other process that shares the
    topics has this `host`; it is the same after a restart."""

    prefix = "/network"

    def __init__(self, core: Core, options: NetworkOptions | None = None, *, host: str = "network") -> None:
        options = options or NetworkOptions()
        self.core, self._host = core, host
        self.database = core.database("network", metadata)
        self.outbox = Outbox(self.database, outbox, core.bus)
        deps = Deps(
            database=self.database, clock=core.clock, options=options, announcer=Announcer()
        )  # fmt: skip
        projects, agents = Projects(deps), AgentLogic(deps)
        networks, subnets = Networks(NetworkLogic(deps, projects)), Subnets(SubnetLogic(deps, projects))
        ports, groups = Ports(PortLogic(deps, projects)), SecurityGroups(SecurityGroupLogic(deps, projects))
        tagged: list[Readable[Any]] = [networks, subnets, ports, groups]
        tags = {owner.shape.path: Tags(TagLogic(deps), owner) for owner in tagged}
        zones, quotas = Agents(agents, options.availability_zone), Quotas(QuotaLogic(deps))
        self.routes = routes(networks, subnets, ports, groups, zones, quotas, tags)
        web = core.web("network", network_format, core.policy("network", policies.RULES))
        self.app = build_app(web, self.routes)
        self._events = ComputeEvents(core, max_age=options.event_max_age)
        self._plugin = NetworkPlugin(HostLogic(deps), agents, self.outbox)

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
