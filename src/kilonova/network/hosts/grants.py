"""What a compute host may do here: what the grant of one of its servers covers (core/grants.py)."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from kilonova.core.context import RequestContext
from kilonova.core.grants import Grant
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.ports.schemas import PortCreate, PortUpdate

BINDING = {"device_id", "device_owner", "host_id", "profile"}  # all that a host changes of a port
COMPUTE = "compute:"


class Held(Protocol):
    """What a rule is asked about: a port's row, or the body of one to be made."""

    device_id: Any
    host_id: Any


def acting(ctx: RequestContext) -> RequestContext:
    """The caller for what is made: with a grant, in the server's project."""
    if not ctx.is_host or ctx.grant is None:
        return ctx
    return msgspec.structs.replace(ctx, project_id=ctx.grant.project)


def narrow(ctx: RequestContext, resource: str, filters: Filters) -> bool:
    """Limit a host's list to what its grant covers; False when that is nothing."""
    grant = ctx.grant
    if grant is None or resource not in LISTED:
        return False
    key, attribute = LISTED[resource]
    held = getattr(grant, attribute)
    allowed = {held} if isinstance(held, str) else set(held)
    filters.filters[key] = sorted(allowed.intersection(filters.filters.get(key, allowed)))
    return bool(filters.filters[key])


LISTED = {"port": ("device_id", "server"), "network": ("id", "networks"), "subnet": ("network_id", "networks")}
"""Resource → the attribute that limits a host's list, and where the grant says to what."""


def covers(grant: Grant | None, action: str, resource: str, held: Any, body: msgspec.Struct | None) -> bool:
    """Whether a host may do this with an object: `held` is its row, or the body of one to be made."""
    if grant is None or held is None:
        return False
    if resource != "port":
        return action == "get" and getattr(held, LISTED[resource][0]) in grant.networks if resource in LISTED else False
    if isinstance(body, PortCreate):
        return _new(grant, body)
    if not _own(grant, held):
        return False
    if isinstance(body, PortUpdate):
        return _bound(grant, body)
    return action == "get" or (action == "delete" and held.id in grant.made)


def _own(grant: Grant, port: Any) -> bool:
    """The server's port on one of its hosts, or a port of the user's that waits for it."""
    free = grant.fresh and not port.device_id and port.id in grant.given
    return (port.device_id == grant.server or free) and port.host_id in ("", *grant.hosts)


def _new(grant: Grant, body: PortCreate) -> bool:
    return (
        grant.fresh
        and body.id in grant.made
        and body.network_id in grant.networks
        and (body.device_id, body.host_id) == (grant.server, grant.host)
        and (body.device_owner or "").startswith(COMPUTE)
        and not body.allowed_address_pairs
        and body.port_security_enabled is UNSET
        and body.mac_address is None
    )


def _bound(grant: Grant, body: PortUpdate) -> bool:
    said = {name for name in body.__struct_fields__ if getattr(body, name) is not UNSET}
    owner = "" if body.device_owner is UNSET else body.device_owner or ""
    return (
        said <= BINDING
        and (body.device_id or "") in ("", grant.server)
        and (body.host_id or "") in ("", *grant.hosts)
        and (not owner or owner.startswith(COMPUTE))
        and (grant.fresh or (body.host_id or "") != grant.host)
    )
