"""Messages to hosts are written with the transaction: a process that dies after the commit sends them at its next start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from kilonova.network.app import NetworkService
from kilonova.network.options import NetworkOptions
from kilonova.network.tables import outbox
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud

Act = Callable[[Cloud, Any, Any, Any], Any]


async def _delete_port(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    assert (await cloud("DELETE", f"/ports/{member['id']}", token="service")).status == 204


async def _leave_group(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    body = {"port": {"security_groups": []}}
    assert (await cloud("PUT", f"/ports/{member['id']}", token="service", json=body)).status == 200


async def _readdress(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    body = {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}}
    assert (await cloud("PUT", f"/ports/{member['id']}", token="service", json=body)).status == 200


async def _unbind(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    body = {"port": {"binding:host_id": ""}}
    assert (await cloud("PUT", f"/ports/{member['id']}", token="service", json=body)).status == 200


async def _bind_another(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    await cloud.bound(network, host="host-2", security_groups=[group])


async def _change_subnet(cloud: Cloud, network: Any, member: Any, group: Any) -> None:
    body = {"subnet": {"dns_nameservers": ["192.0.2.1"]}}
    (subnet,) = (await cloud("GET", f"/subnets?network_id={network['id']}")).json["subnets"]
    assert (await cloud("PUT", f"/subnets/{subnet['id']}", json=body)).status == 200


async def stored(cloud: Cloud) -> int:
    async with cloud.service.database.reading() as connection:
        return len((await connection.execute(select(outbox.c.id))).all())


async def nothing_stored(cloud: Cloud) -> bool:
    return await stored(cloud) == 0


@pytest.mark.parametrize("act", [_delete_port, _leave_group, _readdress, _unbind, _bind_another, _change_subnet])
async def test_a_host_learns_of_a_change_after_its_sender_was_killed(cloud: Cloud, act: Act) -> None:
    """`member` is on host-2; the filters of our host admit it by its group."""
    _, plane = await cloud.agent()
    _, other = await cloud.agent("host-2")
    network, _ = await cloud.network()
    ours = await cloud.bound(network)
    group = ours["security_groups"][0]  # the default one, whose members may reach each other
    member = await cloud.bound(network, host="host-2")
    both = ("10.0.0.3", "10.0.0.4")
    await until(lambda: plane.state.security_groups and plane.state.security_groups[0].members == both)
    await until(lambda: nothing_stored(cloud))
    await asyncio.sleep(0.2)
    before = (plane.state, other.state)

    cloud.service.outbox.send = lambda messages: None  # type: ignore[method-assign]  # it dies at the commit
    await act(cloud, network, member, group)
    await asyncio.sleep(0.2)
    assert (plane.state, other.state) == before
    assert await stored(cloud) > 0
    await cloud.service.stop()
    again = NetworkService(cloud.core, NetworkOptions(dns_servers=("9.9.9.9",)))
    again.outbox.look_every = 0.05  # it comes sooner to the end that the dead one is dead
    await again.start()
    cloud.service = again
    await until(lambda: (plane.state, other.state) != before)
    await until(lambda: nothing_stored(cloud))


async def test_hosts_without_an_agent_leave_nothing_behind(cloud: Cloud) -> None:
    network, _ = await cloud.network()
    port = await cloud.bound(network, host="gone")
    await cloud.network_client.delete_ports([port["id"]])
    await until(lambda: nothing_stored(cloud))
    _, plane = await cloud.agent(HOST)
    await cloud.bound(network)
    await until(lambda: plane.state.networks)
