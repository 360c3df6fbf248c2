"""Refusals that concern floating IPs, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class FloatingIpNotFound(NotFound):
    template = "Floating IP not found for ID {id}"


class NoSuchAddress(NotFound):
    template = "floating IP not found"


class InvalidId(BadRequest):
    template = "Invalid ID received {id}."


class PoolNotFound(NotFound):
    template = "Floating IP pool not found."


class NoFixedAddress(BadRequest):
    template = "No fixed IPs associated to instance"


class NotOfServer(BadRequest):
    template = "Specified fixed address not assigned to instance"


class OnlyIpv6(BadRequest):
    template = (
        "Unable to associate floating IP {address} to any fixed IPs for instance {server_id}. Instance has no fixed IPv4 "
        "addresses to associate."
    )


class NotAssociated(Conflict):
    template = "Floating IP {address} is not associated with instance {server_id}."
