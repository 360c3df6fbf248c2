"""Routers: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension
from kilonova.network.resources.routers.handlers import RouterHandlers
from kilonova.network.resources.routers.logic import RouterLogic
from kilonova.network.resources.routers.policies import RULES
from kilonova.network.resources.routers.schemas import (
    Interface,
    InterfaceIn,
    Router,
    RouterCreate,
    RouterUpdate,
    RoutesIn,
)


def _more(handlers: RouterHandlers) -> list[Route]:
    one, sent, shown = f"{V2}/routers{ID}", wrapped("router", RoutesIn), wrapped("router", Router)
    return [
        Route(
            "PUT", f"{one}/add_router_interface", handlers.add_interface, "add_router_interface", body=InterfaceIn,
            reply=Interface, summary="Add an interface to a router: a port, or an address in a subnet.",
        ),
        Route(
            "PUT", f"{one}/remove_router_interface", handlers.remove_interface, "remove_router_interface",
            body=InterfaceIn, reply=Interface, summary="Remove an interface from a router; its port is deleted.",
        ),
        Route(
            "PUT", f"{one}/add_extraroutes", handlers.add_routes, "add_extraroutes", body=sent, reply=shown,
            summary="Add routes to a router.",
        ),
        Route(
            "PUT", f"{one}/remove_extraroutes", handlers.remove_routes, "remove_extraroutes", body=sent, reply=shown,
            summary="Remove routes from a router.",
        ),
    ]  # fmt: skip


ROUTERS_RESOURCE = CrudResource(
    name="router",
    collection="routers",
    path="routers",
    view=Router,
    create=RouterCreate,
    update=RouterUpdate,
    constant={"distributed": False, "ha": False, "flavor_id": None},
    rules=RULES,
    logic=RouterLogic,
    handlers=RouterHandlers,
    quota=True,
    more=_more,
    extensions=(
        Extension("router", "Neutron L3 Router", "2012-07-20T10:00:00-00:00", "Routers and floating IPs"),
        Extension(
            "ext-gw-mode", "Neutron L3 Configurable external gateway mode", "2013-03-28T10:00:00-00:00",
            "Gateways with or without address translation",
        ),
        Extension("extraroute", "Neutron Extra Route", "2013-02-01T10:00:00-00:00", "Routes of routers"),
        Extension(
            "extraroute-atomic", "Atomically add/remove extra routes", "2019-07-10T00:00:00+00:00",
            "Routes added and removed one by one",
        ),
        Extension(
            "router_availability_zone", "Router Availability Zone", "2015-01-01T10:00:00-00:00",
            "Availability zones of routers",
        ),
    ),
)  # fmt: skip
