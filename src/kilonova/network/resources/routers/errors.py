"""Refusals of routers. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors
from kilonova.network.resources.base.errors import BadRequest as BadRequest


class RouterNotFound(errors.NotFound):
    template = "Router {id} could not be found"


class RouterInUse(errors.Conflict):
    template = "Router {id} still has ports"


class RouterInterfaceNotFound(errors.NotFound):
    template = "Router {id} does not have an interface with id {port_id}"


class RouterInterfaceNotFoundForSubnet(errors.NotFound):
    template = "Router {id} has no interface on subnet {subnet_id}"


class RouterInterfaceInUseByFloatingIP(errors.Conflict):
    template = (
        "Router interface for subnet {subnet_id} on router {id} cannot be deleted, as it is required by one or more "
        "floating IPs."
    )


class RouterInterfaceInUseByRoute(errors.Conflict):
    template = (
        "Router interface for subnet {subnet_id} on router {id} cannot be deleted, as it is required by one or more "
        "routes."
    )


class RouterExternalGatewayInUseByFloatingIp(errors.Conflict):
    template = (
        "Gateway cannot be updated for router {id}, since a gateway to external network {network_id} is required by one "
        "or more floating IPs."
    )


class InvalidRoutes(errors.BadRequest):
    template = "Invalid format for routes: {routes}, {reason}"


class RoutesExhausted(errors.BadRequest):
    template = "Unable to complete operation for {id}. The number of routes exceeds the maximum {quota}."


class SubnetMismatchForPort(errors.BadRequest):
    template = "Subnet on port {port_id} does not match the requested subnet {subnet_id}."


class PortInUse(errors.Conflict):
    template = (
        "Unable to complete operation on port {id} for network {network_id}. Port already has an attached device "
        "{device_id}."
    )


class ServicePortInUse(errors.Conflict):
    template = "Port {id} cannot be deleted directly via the port API: has device owner {device_owner}."


class ExternalNetworkInUse(errors.Conflict):
    template = "External network {id} cannot be updated to be made non-external, since it has existing gateway ports."
