"""Refusals that concern remote consoles, with upstream's wording."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Forbidden, NotFound


class ConsoleTypeInvalid(BadRequest):
    template = "Invalid console type {console_type}"


class TokenNotFound(NotFound):
    template = "Token not found"


class TooManyTokens(Forbidden):
    template = "Instance {server_id} has {most} console URLs that were not used; use one, or wait until they expire."


class NotAtThisVersion(BadRequest):
    """Only consoles of a hypervisor that upstream has no more had tokens that could be asked for then."""

    template = "The server could not comply with the request since it is either malformed or otherwise incorrect."
