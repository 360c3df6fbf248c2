"""Refusals about where routers are made. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class InvalidL3Agent(errors.NotFound):
    template = "Agent {id} is not a L3 Agent or has been disabled"


class RouterHostedByL3Agent(errors.Conflict):
    template = "The router {router_id} has been already hosted by the L3 Agent {agent_id}."


class RouterNotHostedByL3Agent(errors.Conflict):
    template = "The router {router_id} is not hosted by the L3 Agent {agent_id}."


class RouterSchedulingFailed(errors.Conflict):
    template = "Failed scheduling router {router_id} to the L3 Agent {agent_id}: {reason}."
