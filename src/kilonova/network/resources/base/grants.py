"""What a compute host may do here: what the grant of one of its servers covers (core/grants.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.grants import Grant
from kilonova.network.resources.base.schemas import Filters

Covers = Callable[[Grant, str, Any, msgspec.Struct | None], bool]
"""Whether a host may do an action (get, create, update, delete) with an object: its row, or the body of one to be made; and the
body that is sent."""


@dataclass(frozen=True)
class HostAccess:
    """To a resource that hosts may look at. `attribute` limits their lists, to what the grant has as `granted`. `covers` says
    what they may do with one object; without it, look at it."""

    attribute: str
    granted: str
    covers: Covers | None = None

    def granted_by(self, grant: Grant) -> set[str]:
        """Values of the attribute that the grant names."""
        held = getattr(grant, self.granted)
        return {held} if isinstance(held, str) else set(held)


def acting(ctx: RequestContext) -> RequestContext:
    """The caller for what is made: with a grant, in the server's project."""
    if not ctx.is_host or ctx.grant is None:
        return ctx
    return msgspec.structs.replace(ctx, project_id=ctx.grant.project)


def narrow(access: HostAccess | None, grant: Grant | None, filters: Filters) -> bool:
    """Limit a host's list to what its grant covers; False when that is nothing."""
    if grant is None or access is None:
        return False
    allowed = access.granted_by(grant)
    filters.filters[access.attribute] = sorted(allowed.intersection(filters.filters.get(access.attribute, allowed)))
    return bool(filters.filters[access.attribute])


def covers(access: HostAccess | None, grant: Grant | None, action: str, held: Any, body: msgspec.Struct | None) -> bool:
    """Whether a host may do this with an object; see Covers."""
    if access is None or grant is None or held is None:
        return False
    if access.covers is not None:
        return access.covers(grant, action, held, body)
    return action == "get" and getattr(held, access.attribute) in access.granted_by(grant)
