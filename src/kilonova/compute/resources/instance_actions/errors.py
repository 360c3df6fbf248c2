"""Refusals that concern instance actions, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import NotFound


class ActionNotFound(NotFound):
    template = "Action for request_id {request_id} on instance {server_id} not found"
