"""What a compute host may do with ports: what the grant of one of its servers covers (core/grants.py)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.grants import Grant
from kilonova.network.resources.ports.schemas import COMING, PortCreate, PortUpdate

BINDING = {"device_id", "device_owner", "host_id", "profile", "dns_name"}  # all that a host changes of a port
COMPUTE = "compute:"


def covers(grant: Grant, action: str, held: Any, body: msgspec.Struct | None) -> bool:
    """`held` is a port's row, or the body of one to be made."""
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
        and not body.dns_domain
        and body.port_security_enabled is UNSET
        and body.mac_address is None
        and body.qos_policy_id is None
    )


def _bound(grant: Grant, body: PortUpdate) -> bool:
    said = {name for name in body.__struct_fields__ if getattr(body, name) is not UNSET}
    owner = "" if body.device_owner is UNSET else body.device_owner or ""
    return (
        said <= BINDING
        and (body.device_id or "") in ("", grant.server)
        and (body.host_id or "") in ("", *grant.hosts)
        and (not owner or owner.startswith(COMPUTE))
        and _coming(body.profile) in ("", grant.host)
        and (grant.fresh or (body.host_id or "") != grant.host)
    )


def _coming(profile: Any) -> Any:
    return "" if profile is UNSET or not profile else profile.get(COMING) or ""
