"""Agents: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.agents.logic import AgentLogic
from kilonova.network.resources.agents.policies import RULES
from kilonova.network.resources.agents.schemas import Agent, AgentUpdate
from kilonova.network.resources.base.resource import CrudResource, Extension

AGENTS_RESOURCE = CrudResource(
    name="agent",
    collection="agents",
    path="agents",
    view=Agent,
    update=AgentUpdate,
    derived=frozenset({"resources_synced"}),
    unsorted=frozenset({"alive"}),
    rules=RULES,
    lister="any_reader",
    logic=AgentLogic,
    extensions=(
        Extension("agent", "agent", "2013-02-03T10:00:00-00:00", "Agents and whether they live"),
        Extension("agent_sort_key", "Agents Sort Key", "2013-02-03T10:00:00-00:00", "Agents in any order"),
    ),
)
