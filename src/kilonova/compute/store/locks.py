"""Locks by name, for what has no row to lock: counts, and rows that must not exist yet."""

from __future__ import annotations

from kilonova.compute import tables
from kilonova.core.db import Connection
from kilonova.core.db.locks import hold


async def of_project(connection: Connection, project_id: str) -> None:
    """Held while the usage of a project is counted and changed."""
    await hold(connection, tables.locks, f"project:{project_id}"[:255])


async def of_user(connection: Connection, user_id: str) -> None:
    """Held while a user's key pairs are counted and changed."""
    await hold(connection, tables.locks, f"user:{user_id}"[:255])


async def of_zones(connection: Connection) -> None:
    """Held while the hosts of a zone are changed."""
    await hold(connection, tables.locks, "zones")


async def of_volume(connection: Connection, volume_id: str) -> None:
    """Held while a volume is given to a server."""
    await hold(connection, tables.locks, f"volume:{volume_id}"[:255])
