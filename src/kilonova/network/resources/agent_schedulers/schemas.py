"""Wire shapes of what agents host."""

from __future__ import annotations

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Uuid


class RouterIn(Body):
    router_id: Uuid


class Added(View):
    """Nothing: an empty object."""
