"""What a server's row knows of its ports follows the network service: by its events and before a guest comes up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from kilonova.compute import models, tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.models import NetworkRequest, Vif
from kilonova.compute.port_ids import port_id_for
from kilonova.compute.store.records import vifs
from kilonova.network.client import NetworkClient, PortRecord, PortRequest
from tests.component.conductor.lab import CTX, Agent, Lab
from tests.eventually import until
from tests.support import PROJECT

HOST = "host-1"


class Net:
    """The real network service, with one network and ports of servers on it."""

    def __init__(self, lab: Lab, client: NetworkClient) -> None:
        self.lab, self.client, self.asked = lab, client, 0
        conductor = lab.conductor
        self.info: NetworkInfo = conductor.interfaces
        self.between: Callable[[], Awaitable[None]] | None = None  # once, after the ports were read
        self._ports_of = self.info.network.ports_of
        self.info.network.ports_of = self.ports_of  # type: ignore[method-assign,assignment]

    async def ports_of(self, device_ids: Sequence[str]) -> list[PortRecord]:
        self.asked += 1
        found = await self._ports_of(device_ids)
        between, self.between = self.between, None
        if between is not None:
            await between()
        return found

    async def open(self) -> None:
        made = await self("POST", "networks", network={"name": "net"})
        self.id = made["network"]["id"]
        await self("POST", "subnets", subnet={"network_id": self.id, "ip_version": 4, "cidr": "10.0.0.0/24"})

    async def __call__(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.lab.http(method, f"/network/v2.0/{path}", json=body or None)
        assert answer.status < 300, answer
        return answer.json if answer.content else None

    async def port(self, uuid: str, index: int = 0) -> str:
        (port,) = await self.client.create_ports(
            [PortRequest(id=port_id_for(uuid, index), network_id=self.id, project_id=PROJECT, device_id=uuid,
                         device_owner="compute:nova", host_id=HOST)]
        )  # fmt: skip
        return port.id

    async def move(self, port_id: str, address: str) -> None:
        await self.client.update_port(port_id, {"fixed_ips": [{"ip_address": address}]})

    async def away(self) -> Callable[[], None]:
        """The network service does not answer, until the function returned is called."""

        async def silent(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        apps = self.lab.gateway.apps
        there, apps["/network"] = apps["/network"], silent
        return lambda: apps.__setitem__("/network", there)


async def opened(lab: Lab) -> Net:
    await lab.host(HOST)
    net = Net(lab, await lab.with_network())
    await net.open()
    return net


async def running(lab: Lab, net: Net, ports: int = 1, **values: Any) -> str:
    """A server with ports that the launch wrote down."""
    (uuid,) = await lab.servers(vm_state="active", task_state=None, host=HOST, security_groups=["default"], **values)
    for index in range(ports):
        await net.port(uuid, index)
    await lab.change(uuid, network_info=[msgspec.to_builtins(_old(uuid, n)) for n in range(ports)])
    await lab.client.network_changed(CTX, [uuid])
    await lab.quiet()
    return uuid


def _old(uuid: str, index: int) -> Vif:
    return Vif(port_id=port_id_for(uuid, index), network_id="", network_name="old", mac_address="", tag=f"t{index}",
               active=True)  # fmt: skip


async def known(lab: Lab, uuid: str) -> list[Vif]:
    return vifs((await lab.server(uuid)).network_info)


async def addresses(lab: Lab, uuid: str) -> list[str]:
    return [ip.address for vif in await known(lab, uuid) for ip in vif.fixed_ips]


async def changed(lab: Lab, *uuids: str) -> None:
    await lab.client.network_changed(CTX, list(uuids))
    await lab.quiet()


async def test_an_address_that_changed_is_seen_and_nothing_else_changes(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net, ports=2)
    (first, second), before = await known(lab, uuid), await lab.server(uuid)
    await net.move(first.port_id, "10.0.0.77")
    assert await addresses(lab, uuid) != ["10.0.0.77", second.fixed_ips[0].address]
    for _ in range(2):  # an event that comes twice changes nothing
        await changed(lab, uuid)
        now = await known(lab, uuid)
        subnet = first.fixed_ips[0].subnet
        assert now == [
            msgspec.structs.replace(first, fixed_ips=[models.FixedIp(address="10.0.0.77", subnet=subnet)]), second
        ]  # fmt: skip
    after = await lab.server(uuid)
    assert [n for n in after._fields if getattr(after, n) != getattr(before, n)] == ["network_info"]
    assert [(vif.tag, vif.created, vif.active, vif.network_name) for vif in now] == [
        ("t0", True, True, "net"), ("t1", True, True, "net"),
    ]  # fmt: skip
    port = await net.client.port(first.port_id)
    assert (now[0].vif_type, now[0].details) == (port.vif_type, port.vif_details)
    assert (now[0].vif_type, now[0].device_name) == ("bridge", "tap" + first.port_id[:11])


async def test_ports_that_bear_a_servers_id_alone_stay_where_they_are(lab: Lab) -> None:
    """Of those that are bound to another host, the server's own alone follow it."""
    net = await opened(lab)
    uuid = await running(lab, net)
    own, foreign = port_id_for(uuid, 0), await net.port(uuid, 5)
    for port_id in (own, foreign):
        await net.client.bind_port(port_id, "host-2", device_id=uuid)
    await changed(lab, uuid)
    assert [(await net.client.port(port_id)).host_id for port_id in (own, foreign)] == [HOST, "host-2"]
    assert [vif.port_id for vif in await known(lab, uuid)] == [own]


async def test_ports_that_go_networks_that_are_renamed_and_groups_that_change(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net, ports=3)
    gone, taken, kept = await known(lab, uuid)
    made = await net("POST", "security-groups", security_group={"name": "web", "project_id": PROJECT})
    await net.client.update_port(kept.port_id, {"security_groups": [made["security_group"]["id"]]})
    await net("PUT", f"networks/{net.id}", network={"name": "renamed"})
    await net.client.delete_ports([gone.port_id])
    await net.client.unbind_port(taken.port_id)
    await changed(lab, uuid)
    assert [(vif.port_id, vif.network_name) for vif in await known(lab, uuid)] == [(kept.port_id, "renamed")]
    assert (await lab.server(uuid)).security_groups == ["web"]
    macs = {gone.port_id: gone.mac_address, taken.port_id: taken.mac_address}
    assert lab.agents[HOST].dropped == [(uuid, macs)]  # the guest loses them too
    await changed(lab, uuid)
    assert len(lab.agents[HOST].dropped) == 1


async def test_events_of_one_moment_are_one_look_at_the_ports(lab: Lab) -> None:
    net = await opened(lab)
    uuids = [await running(lab, net) for _ in range(3)]
    for n, uuid in enumerate(uuids):
        await net.move(port_id_for(uuid, 0), f"10.0.0.{100 + n}")
    net.asked = 0
    await asyncio.gather(*(net.info.changed([uuid]) for uuid in uuids * 20))
    assert net.asked <= 2
    assert [await addresses(lab, uuid) for uuid in uuids] == [["10.0.0.100"], ["10.0.0.101"], ["10.0.0.102"]]


async def test_news_that_come_while_the_ports_are_read_are_not_lost(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net)
    late: list[asyncio.Future[None]] = []

    async def moves_again() -> None:
        await net.move(port_id_for(uuid, 0), "10.0.0.88")
        late.append(asyncio.ensure_future(net.info.changed([uuid])))

    await net.move(port_id_for(uuid, 0), "10.0.0.77")
    net.between = moves_again
    await net.info.changed([uuid])
    await asyncio.gather(*late)
    assert await addresses(lab, uuid) == ["10.0.0.88"]


async def test_what_another_conductor_wrote_meanwhile_is_not_overwritten(lab: Lab) -> None:
    """What was read first may be older: it is read again."""
    net = await opened(lab)
    uuid = await running(lab, net)
    other = NetworkInfo(lab.conductor.deps, NetworkClient(lab.core))

    async def another_is_faster() -> None:
        await net.move(port_id_for(uuid, 0), "10.0.0.88")
        await other.changed([uuid])

    await net.move(port_id_for(uuid, 0), "10.0.0.77")
    net.between = another_is_faster
    await net.info.changed([uuid])
    assert await addresses(lab, uuid) == ["10.0.0.88"]


async def test_an_unreachable_network_service_leaves_the_row_and_is_asked_again(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net)
    before = await addresses(lab, uuid)
    await net.move(port_id_for(uuid, 0), "10.0.0.77")
    back = await net.away()
    await lab.client.network_changed(CTX, [uuid])
    assert await lab.client.network_info(CTX, HOST, uuid) is None  # a guest that comes up need not wait
    assert await addresses(lab, uuid) == before
    back()
    await lab.quiet()
    assert await addresses(lab, uuid) == ["10.0.0.77"]
    assert await lab.rows(tables.outbox) == []


async def test_a_guest_that_starts_gets_its_ports_as_they_are_now(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net)
    await net.move(port_id_for(uuid, 0), "10.0.0.77")
    answered = await lab.client.network_info(CTX, HOST, uuid)
    assert answered == await known(lab, uuid)
    assert await addresses(lab, uuid) == ["10.0.0.77"]
    assert await lab.client.network_info(CTX, "host-2", uuid) is None  # another host's server is none of its business
    await lab.change(uuid, deleted=7)
    assert await lab.client.network_info(CTX, HOST, uuid) is None
    await changed(lab, uuid, lab.clock.uuid())  # events of servers that are gone


class Late(Agent):
    """A host that reads the ports, while they change, and reports what it read."""

    async def build_and_run_server(self, ctx: Any, build: models.ServerBuild) -> None:
        uuid = build.server.uuid
        read = msgspec.structs.replace(_old(uuid, 0), network_name="net")
        outcome = msgspec.structs.replace(self.succeed(build), network_info=[read])
        await self.net.move(await self.net.port(uuid), "10.0.0.77")
        await self.lab.client.network_changed(CTX, [uuid])
        await until(lambda: self.lab.server(uuid), satisfies=lambda found: found.network_info)
        assert await self.lab.client.build_ended(ctx, outcome)

    net: Net


async def test_ports_that_change_during_the_launch(lab: Lab) -> None:
    net = await opened(lab)
    await lab.bus.withdraw(ComputeAPI, host=HOST)
    agent = Late(lab, HOST)
    agent.net = net
    await lab.bus.serve(ComputeAPI, agent, host=HOST)
    spec = lab.spec(networks=[NetworkRequest(network_id=net.id, tag="t")])
    (uuid,) = await lab.servers(spec=spec)
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "active"
    assert await addresses(lab, uuid) == ["10.0.0.77"]


async def test_a_launch_that_fails_after_its_ports_changed_shows_none(lab: Lab) -> None:
    net = await opened(lab)
    agent = lab.agents[HOST]
    (uuid,) = await lab.servers(spec=lab.spec(networks=[NetworkRequest(network_id=net.id)]))
    agent.answer = lambda build: None
    await lab.build([uuid])
    await net.port(uuid)
    await changed(lab, uuid)
    assert len(await addresses(lab, uuid)) == 1
    await lab.client.build_ended(CTX, agent.fail(agent.builds[-1], reschedule=False))
    await lab.quiet()
    row = await lab.server(uuid)
    assert (row.vm_state, row.network_info) == ("error", [])


async def test_a_launch_whose_ports_do_not_change_asks_nothing(lab: Lab) -> None:
    net = await opened(lab)
    net.asked = 0
    (uuid,) = await lab.servers(spec=lab.spec(networks=[NetworkRequest(network_id=net.id)]))
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "active"
    assert net.asked == 0


async def test_floating_ips_come_and_go(lab: Lab) -> None:
    net = await opened(lab)
    uuid = await running(lab, net)
    outside = (await net("POST", "networks", network={"name": "public", "router:external": True}))["network"]["id"]
    await net("POST", "subnets", subnet={"network_id": outside, "ip_version": 4, "cidr": "203.0.113.0/24"})
    router = (await net("POST", "routers", router={"external_gateway_info": {"network_id": outside}}))["router"]["id"]
    (vif,) = await known(lab, uuid)
    await net("PUT", f"routers/{router}/add_router_interface", subnet_id=vif.fixed_ips[0].subnet.id)
    asked = {"floating_network_id": outside, "port_id": vif.port_id, "project_id": PROJECT}
    made = (await net("POST", "floatingips", floatingip=asked))["floatingip"]
    for port_id, shown in ((vif.port_id, [made["floating_ip_address"]]), (None, [])):
        await net("PUT", f"floatingips/{made['id']}", floatingip={"port_id": port_id})
        await changed(lab, uuid)
        assert [ip.floating_ips for vif in await known(lab, uuid) for ip in vif.fixed_ips] == [shown]
