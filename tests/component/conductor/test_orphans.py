"""Hosts that are away for good, claims in the wrong place, ports without a server: each is put right, nothing else touched."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.compute import tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.port_ids import port_id_for
from kilonova.network.client import NetworkClient, PortRequest
from tests.component.conductor.lab import CTX, Lab
from tests.support import PROJECT


async def placed(lab: Lab, host: str = "host-1") -> str:
    """A server that runs on a host."""
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.server(uuid)).host == host
    return uuid


async def gone(lab: Lab, host: str) -> None:
    """No agent of the host runs any more, and its service was last seen long ago."""
    await lab.bus.withdraw(ComputeAPI, host=host)
    async with lab.database.transaction() as tx:
        table = tables.services
        await tx.connection.execute(
            table.update().where(table.c.host == host).values(last_seen=lab.conductor.deps.ago(3600))
        )


async def ports(lab: Lab, network: NetworkClient, *servers: str) -> tuple[Any, list[str]]:
    """A network, with a port that we made for each server."""
    made = await lab.http("POST", "/network/v2.0/networks", json={"network": {"name": "net"}})
    net = made.json["network"]["id"]
    requests = [
        PortRequest(
            id=port_id_for(uuid, 0), network_id=net, project_id=PROJECT, device_id=uuid, device_owner="compute:nova"
        )
        for uuid in servers
    ]
    return net, [port.id for port in await network.create_ports(requests)]


async def test_a_server_on_a_dead_host_is_deleted_without_it(lab: Lab) -> None:
    await lab.host("host-1")
    network = await lab.with_network()
    uuid = await placed(lab)
    net, _ = await ports(lab, network, uuid)
    (users,) = await network.create_ports(
        [PortRequest(network_id=net, project_id=PROJECT, device_id=uuid, device_owner="compute:nova", host_id="host-1")]
    )
    await gone(lab, "host-1")
    await lab.change(uuid, task_state="deleting")
    await lab.conductor.delete_unhosted(CTX, uuid, "req-d")
    assert (await lab.server(uuid)).deleted
    assert await lab.claimed() == {"host-1": []}
    (left,) = await network.ports(network_id=net)
    assert (left.id, left.device_id, left.host_id) == (users.id, "", "")
    assert await lab.client.deleted_servers(CTX, [uuid, lab.clock.uuid()]) == [uuid]


async def test_a_deletion_whose_host_died_is_finished(lab: Lab) -> None:
    """The message was on its way when the host went."""
    await lab.host("host-1")
    await lab.with_network()
    uuid, other = await placed(lab), await placed(lab)
    await lab.change(uuid, task_state="deleting")
    await lab.conductor.reconciler.run(grace=0)
    assert not (await lab.server(uuid)).deleted  # the host is up: it is its to do
    await gone(lab, "host-1")
    await lab.conductor.reconciler.run(grace=0)
    assert (await lab.server(uuid)).deleted
    assert not (await lab.server(other)).deleted


async def test_a_deletion_waits_while_the_network_service_is_unreachable(lab: Lab) -> None:
    await lab.host("host-1")
    uuid = await placed(lab)
    await lab.change(uuid, task_state="deleting")
    await gone(lab, "host-1")
    await lab.client.delete_unhosted(CTX, uuid, "req-d")
    await lab.quiet()
    assert not (await lab.server(uuid)).deleted
    await lab.with_network()
    await lab.conductor.reconciler.run(grace=0)
    assert (await lab.server(uuid)).deleted


@pytest.mark.parametrize("wrong", ["elsewhere", "missing"])
async def test_a_claim_is_corrected_to_the_row(lab: Lab, wrong: str) -> None:
    await lab.host("host-1")
    uuid, right = await placed(lab), await placed(lab)
    await lab.host("host-2")
    nodes = {provider.name: provider.uuid for provider in await lab.placement.providers()}
    if wrong == "elsewhere":
        assert await lab.placement.claim(
            uuid, nodes["host-2"], {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 1}, project_id=PROJECT, user_id="u"
        )
    else:
        await lab.placement.release(uuid)
    before = await lab.claimed()
    assert await lab.conductor.reconciler.repair_claims(120) == 0  # seen for the first time: it may be moving
    assert await lab.claimed() == before
    assert await lab.conductor.reconciler.repair_claims(0) == 1
    assert await lab.claimed() == {"host-1": sorted([uuid, right]), "host-2": []}
    assert await lab.conductor.reconciler.repair_claims(0) == 0


async def test_ports_of_servers_that_are_gone_or_lack_them_are_removed(lab: Lab) -> None:
    """A server that is busy may just be getting its port."""
    await lab.host("host-1")
    network = await lab.with_network()
    living, dead, lacking, busy = [await placed(lab) for _ in range(4)]
    unknown = lab.clock.uuid()
    net, _ = await ports(lab, network, living, dead, unknown, lacking, busy)
    await lab.change(living, network_info=[{"port_id": port_id_for(living, 0)}])
    await lab.change(busy, task_state="rebuilding")
    by_hand = [
        PortRequest(network_id=net, project_id=PROJECT, device_id=dead, device_owner="compute:nova"),
        PortRequest(network_id=net, project_id=PROJECT, device_id="a router", device_owner="network:router"),
        PortRequest(network_id=net, project_id=PROJECT, device_id="no uuid", device_owner="compute:nova"),
    ]
    kept = {port.id for port in await network.create_ports(by_hand)}
    kept |= {port_id_for(living, 0), port_id_for(busy, 0)}
    row = await lab.server(dead)
    await lab.change(dead, deleted=row.id)
    removal = lab.conductor.deletion.ports.remove_orphans
    assert await removal(120) == 0
    assert len(await network.ports(network_id=net)) == 8
    assert await removal(0) == 3
    assert {port.id for port in await network.ports(network_id=net)} == kept
