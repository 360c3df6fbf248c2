"""What agents host: what the API knows of it."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.network.resources.agent_schedulers.handlers import AgentSchedulerHandlers
from kilonova.network.resources.agent_schedulers.logic import AgentSchedulerLogic
from kilonova.network.resources.agent_schedulers.policies import RULES
from kilonova.network.resources.agent_schedulers.schemas import Added, RouterIn
from kilonova.network.resources.agents.routes import AGENTS_RESOURCE
from kilonova.network.resources.base.resource import ID, V2, Api, CrudResource, Extension, Resource
from kilonova.network.resources.networks.routes import NETWORKS_RESOURCE
from kilonova.network.resources.routers.routes import ROUTERS_RESOURCE


def _listed(resource: CrudResource) -> object:
    return resource.many | resource.many_parts


def routes(api: Api) -> list[Route]:
    routers, networks, agents = (api.handlers[one] for one in (ROUTERS_RESOURCE, NETWORKS_RESOURCE, AGENTS_RESOURCE))
    logic = AgentSchedulerLogic(api.deps, routers.logic, networks.logic, agents.logic)
    made = AgentSchedulerHandlers(logic, routers=routers, networks=networks, agents=agents)
    agent, of_router, of_network = (f"{V2}/{what}/{{{what[:-1]}_id:str}}" for what in ("agents", "routers", "networks"))
    return [
        Route(
            "GET", f"{agent}/l3-routers", made.routers_on, "get_l3-routers", reply=_listed(ROUTERS_RESOURCE),
            summary="List the routers on an agent's host.",
        ),
        Route(
            "POST", f"{agent}/l3-routers", made.add_router, "create_l3-router", 201, body=RouterIn, reply=Added,
            summary="Give a router to an agent's host.",
        ),
        Route(
            "DELETE", f"{agent}/l3-routers{ID}", made.remove_router, "delete_l3-router", 204,
            summary="Take a router from an agent's host.",
        ),
        Route(
            "GET", f"{of_router}/l3-agents", made.agents_of_router, "get_l3-agents", reply=_listed(AGENTS_RESOURCE),
            summary="Show on which agent's host a router is.",
        ),
        Route(
            "GET", f"{agent}/dhcp-networks", made.networks_on, "get_dhcp-networks", reply=_listed(NETWORKS_RESOURCE),
            summary="List the networks that an agent's host serves DHCP for.",
        ),
        Route(
            "GET", f"{of_network}/dhcp-agents", made.agents_of_network, "get_dhcp-agents", reply=_listed(AGENTS_RESOURCE),
            summary="List the agents whose hosts serve DHCP for a network.",
        ),
    ]  # fmt: skip


AGENT_SCHEDULERS_RESOURCE = Resource(
    routes,
    RULES,
    extensions=(
        Extension(
            "l3_agent_scheduler",
            "L3 Agent Scheduler",
            "2013-02-07T10:00:00-00:00",
            "Routers are given to hosts and taken",
        ),
    ),
)
