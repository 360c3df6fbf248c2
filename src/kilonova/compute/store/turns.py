"""Taking turns where nothing can be locked: what is counted, or must not be there yet."""

from __future__ import annotations

from kilonova.compute.tables import locks
from kilonova.core.db import Connection
from kilonova.core.db.locks import hold


async def of_project(connection: Connection, project_id: str) -> None:
    """Who counts and records what a project has."""
    await hold(connection, locks, f"project:{project_id}"[:255])


async def of_user(connection: Connection, user_id: str) -> None:
    """Who counts and records a user's key pairs."""
    await hold(connection, locks, f"user:{user_id}"[:255])


async def of_zones(connection: Connection) -> None:
    """Who changes which hosts are in which zone."""
    await hold(connection, locks, "zones")
