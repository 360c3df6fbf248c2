"""Policy rules of the whole API: those of all resources."""

from __future__ import annotations

from kilonova.network.resources.base import policies as base
from kilonova.network.resources.base.resource import rules_of
from kilonova.network.resources.registry import RESOURCES

RULES: dict[str, str] = base.RULES | rules_of(RESOURCES)
