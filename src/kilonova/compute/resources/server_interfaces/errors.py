"""Refusals that concern a server's interfaces, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, KilonovaError, NotFound


class InterfaceNotFound(NotFound):
    template = "Port {port_id} is not attached to instance {server_id}"


class PortNotUsable(BadRequest):
    template = "Port {port_id} not usable for instance {server_id}."


class NoNetwork(BadRequest):
    template = "No specific network was requested and none are available for project '{project_id}'."


class TooManyInterfaces(BadRequest):
    template = "Instance {server_id} has {most} interfaces, as many as it may have."


class AttachFailed(KilonovaError):
    template = "Failed to attach network adapter device to {server_id}"
