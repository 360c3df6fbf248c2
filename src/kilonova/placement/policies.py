"""Policy rules of all resources, with upstream's names."""

from __future__ import annotations

from kilonova.placement.resources.allocations import policies as allocations
from kilonova.placement.resources.providers import policies as providers

RULES: dict[str, str] = providers.RULES | allocations.RULES
