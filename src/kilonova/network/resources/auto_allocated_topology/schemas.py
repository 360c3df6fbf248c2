"""Wire shapes of auto-allocated topologies."""

from __future__ import annotations

from kilonova.core.web.wire import View


class Topology(View):
    """`id` is the network's; of a check alone it is `dry-run=pass`."""

    id: str
    project_id: str
    tenant_id: str


class TopologyBody(View):
    auto_allocated_topology: Topology
