"""The ids of ports that compute makes for servers: derived from the server, so that a build that is begun again makes them
once, and such a port can be recognized as ours."""

from __future__ import annotations

import uuid

from kilonova.compute.models import NetworkRequest

MOST = 64  # ports of one server that are looked for


def port_id_for(server_uuid: str, index: int) -> str:
    """The id of a port we make: the same one however often a build is begun again."""
    return str(uuid.uuid5(uuid.UUID(server_uuid), f"port/{index}"))


def port_id_of(server_uuid: str, index: int, want: NetworkRequest) -> str:
    """The id of a server's port: the user's, or the one we make."""
    return want.port_id or port_id_for(server_uuid, index)


def made_for(server_uuid: str, port_id: str) -> bool:
    """Did we make this port for that server? False for a device that is no UUID."""
    try:
        return any(port_id_for(server_uuid, index) == port_id for index in range(MOST))
    except ValueError:
        return False
