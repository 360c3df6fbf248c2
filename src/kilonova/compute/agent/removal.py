"""Removing a server from its host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kilonova.compute import models
from kilonova.compute.agent.ports import release_ports
from kilonova.compute.virt.capabilities import LiveMigrates
from kilonova.core.context import RequestContext

if TYPE_CHECKING:
    from kilonova.compute.agent.runner import Host


async def remove_guest(host: Host, uuid: str) -> None:
    """The guest is off and not defined, and no event of it is expected. What it was made of (disks, wiring) stays. Raises when
    the hypervisor refuses."""
    host.events.forget(uuid)
    await host.driver.destroy(uuid)
    await host.driver.undefine(uuid)


async def forget_guest(host: Host, uuid: str, migration: str) -> None:
    """A guest does not come here after all."""
    host.relay.forget(migration)
    await remove_guest(host, uuid)
    if isinstance(host.driver, LiveMigrates):
        await host.driver.received(uuid, migration)


async def remove_traces(host: Host, build: models.ServerBuild) -> None:
    """Guest, wiring, ports, disks: whatever is there. Raises when something could not be removed."""
    uuid = build.server.uuid
    ctx = RequestContext(request_id=build.request_id)
    await remove_guest(host, uuid)
    await release_ports(host, ctx, build, build.server.network_info)
    await host.driver.disks.remove(uuid)
