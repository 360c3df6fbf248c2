"""Wire shapes of agents."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Text


class Agent(View, kw_only=True):
    """Times are `YYYY-MM-DD HH:MM:SS` text."""

    id: str
    agent_type: str
    binary: str
    host: str
    topic: str
    availability_zone: str
    admin_state_up: bool
    alive: bool
    description: str
    configurations: dict[str, Any]
    created_at: str
    started_at: str
    heartbeat_timestamp: str
    resources_synced: bool | None = None


class AgentUpdate(Body):
    admin_state_up: bool | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
