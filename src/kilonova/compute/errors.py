"""Refusals of several resources, with upstream's wording and codes. Those of one resource are in its own errors.py."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, Forbidden, Gone, KilonovaError, NotFound

OVER = "Requested {requested}, but already used {used} of {limit} {resource}"


class AmbiguousSecurityGroup(Conflict):
    template = "Multiple security_group matches found for name '{name}', use an ID to be more specific."


class TooMany(Forbidden):
    template = "{reason}"


class InvalidState(Conflict):
    template = "Cannot '{action}' instance {server_id} while it is in {attribute} {state}"


class NotSupported(KilonovaError):
    """By the hypervisor of the server's host."""

    status = 501
    template = "The requested functionality is not supported."


class ConsoleTypeUnavailable(BadRequest):
    """The hypervisor has no console of this type, or the guest has none now."""

    template = "Unavailable console type {console_type}."


class GuestMissing(NotFound):
    template = "Instance {server_id} could not be found."


class PasswordNotSet(Conflict):
    template = "Failed to set admin password on {server_id} because {reason}"


class Removed(Gone):
    """Upstream has it no more, and answers in these words."""

    template = "This resource is no longer available.  No forwarding address is given."


class NotBuiltYet(KilonovaError):
    status = 501
    template = "{what} is not available in this cloud yet."


class UnknownMarker(BadRequest):
    template = "marker [{marker}] not found"


class UnknownProject(BadRequest):
    template = "Project ID {project_id} is not a valid project."


class VolumeNotThere(Conflict):
    """A server's volume can't be had: it could not be made, is gone, or another's. Another host would find the same."""

    template = "Volume {volume_id}: {reason}"
