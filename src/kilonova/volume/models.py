"""What the parts of the volume service say to one another on the bus, and keep as JSON in rows."""

from __future__ import annotations

from typing import Any

import msgspec


class Requester(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf a task is done: for messages, notifications and logs."""

    request_id: str
    user_id: str | None = None
    project_id: str | None = None


class Order(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One thing that a back end is to do: `work` names it (states.WORKS). Which fields have a value follows from the work. Sizes
    are GiB. `before` is the volume's status to go back to; `hints` are the scheduler's."""

    task_id: str
    work: str
    volume_id: str
    size: int = 0
    pool: str = ""  # HOST@BACKEND#POOL
    snapshot_id: str | None = None
    source_id: str | None = None
    image_id: str | None = None
    image_format: str | None = None
    container_format: str | None = None
    new_size: int = 0
    snapshots: list[str] = []  # that go with the volume
    backup_id: str | None = None
    parent_id: str | None = None
    before: str = ""
    hints: dict[str, Any] = {}


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a task ended at a back end. `code` is a key of reasons.DETAILS when it failed; `text` is for operators. `elsewhere`:
    another back end may have room for it. `volume_id` and `pool` are those of the order."""

    task_id: str
    host: str  # the machine that reports
    ok: bool
    volume_id: str = ""
    pool: str = ""  # HOST@BACKEND#POOL
    code: str = ""
    text: str = ""
    elsewhere: bool = False
    facts: dict[str, Any] = {}


class PoolReport(msgspec.Struct, kw_only=True):
    """What a pool has: `name` is HOST@BACKEND#POOL; sizes are GiB."""

    name: str
    total_gb: float
    free_gb: float
    capabilities: dict[str, Any] = {}


class BackendReport(msgspec.Struct, kw_only=True):
    """`service` is HOST@BACKEND."""

    service: str
    availability_zone: str
    pools: list[PoolReport]


class AgentReport(msgspec.Struct, kw_only=True):
    """A heartbeat of a machine's volume agent, with all of its back ends."""

    host: str
    backends: list[BackendReport]


def machine_of(pool: str) -> str:
    """`node1@local#fast` → `node1`: the name that its agent has on the bus."""
    return pool.partition("@")[0]


def service_of(pool: str) -> str:
    """`node1@local#fast` → `node1@local`."""
    return pool.partition("#")[0]


def backend_of(pool: str) -> str:
    """`node1@local#fast` → `local`."""
    return service_of(pool).partition("@")[2]
