"""Removing every trace of a server from its host."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.agent.ports import release_ports
from kilonova.compute.agent.runner import Host
from kilonova.core.context import RequestContext


async def remove_traces(host: Host, build: models.ServerBuild) -> None:
    """Guest, wiring, ports, disks: whatever is there. Raises when something could not be removed."""
    uuid = build.server.uuid
    ctx = RequestContext(request_id=build.request_id)
    host.events.forget(uuid)
    await host.driver.destroy(uuid)
    await host.driver.undefine(uuid)
    await release_ports(host, ctx, build, build.server.network_info)
    await host.driver.disks.remove(uuid)
