"""Auto-allocated topologies: their routes, and what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.network.resources.auto_allocated_topology.handlers import Topologies
from kilonova.network.resources.auto_allocated_topology.logic import TopologyLogic
from kilonova.network.resources.auto_allocated_topology.policies import RULES
from kilonova.network.resources.auto_allocated_topology.schemas import TopologyBody
from kilonova.network.resources.base.resource import V2, Api, Extension, Resource


def routes(api: Api) -> list[Route]:
    handlers, one = Topologies(TopologyLogic(api.deps)), f"{V2}/auto-allocated-topology/{{project_id:str}}"
    return [
        Route(
            "GET", one, handlers.show, "get_auto_allocated_topology", reply=TopologyBody,
            summary="Show a project's network with a router to the outside; both are made where there are none.",
        ),
        Route(
            "DELETE", one, handlers.delete, "delete_auto_allocated_topology", 204,
            summary="Delete the network and router that were made for a project.",
        ),
    ]  # fmt: skip


AUTO_ALLOCATED_TOPOLOGY_RESOURCE = Resource(
    routes,
    RULES,
    extensions=(
        Extension(
            "auto-allocated-topology", "Auto Allocated Topology Services", "2016-01-01T00:00:00-00:00",
            "A network, its subnets and a router for a project, made when it asks for them",
        ),
    ),
)  # fmt: skip
