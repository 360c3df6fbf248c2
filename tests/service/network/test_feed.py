"""The feed of a host's changes: whatever is lost, repeated or late, what an agent holds becomes what the whole state says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from kilonova.core import errors
from kilonova.core.context import service_context
from kilonova.network.agent.feed import Feed, Held, HostChanges
from kilonova.network.agent.interface import AGENT_TYPE, NetworkPluginAPI
from kilonova.network.agent.model import HostModel, NetworkModel, PortModel, RuleModel, SecurityGroupModel
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.hosts.news import MOST
from kilonova.network.store import feeds
from tests.databases import statements_of
from tests.eventually import until
from tests.service.network.conftest import HOST, Cloud
from tests.support import PROJECT

CTX = service_context("req-feed")
SECTIONS = NoopDataPlane.sections
OTHER_HOST = "host-2"


async def asked(cloud: Cloud, held: Held = Held()) -> HostChanges:
    return await cloud.core.bus.client(NetworkPluginAPI).host_changes(CTX, HOST, SECTIONS, held)


async def whole(cloud: Cloud) -> HostModel:
    return Feed().take(await asked(cloud))


def told(state: HostModel) -> HostModel:
    """With the hosts that tunnels lead to instead of the ports there, which are those of the last time that a host joined; and
    without QoS policies that no port has any more."""
    networks, policies = [], {port.qos_policy_id for network in state.networks for port in network.ports if port.local}
    for network in state.networks:
        peers = sorted({port.tunnel_ip for port in network.ports if not port.local})
        away = (
            PortModel(id="", network_id="", project_id="", mac_address="", local=False, tunnel_ip=ip) for ip in peers
        )
        local = tuple(port for port in network.ports if port.local)
        networks.append(replace(network, ports=(*local, *away)))
    held = tuple(policy for policy in state.qos_policies or () if policy.id in policies)
    return replace(state, networks=tuple(networks), qos_policies=held)


class Agent:
    """Asks now and then; its answers are lost, come twice, or after later ones."""

    def __init__(self, cloud: Cloud, dice: random.Random) -> None:
        self.cloud, self.dice, self.feed = cloud, dice, Feed()
        self.late: list[HostChanges] = []
        self.parts = 0

    async def ask(self) -> HostModel:
        found = await asked(self.cloud, self.feed.held())
        self.parts += not found.whole
        return self.feed.take(found)

    async def stir(self) -> None:
        found = await asked(self.cloud, self.feed.held())
        fate = self.dice.choice(["lost", "late", "taken", "twice", "nothing", "restart"])
        if fate == "late":
            self.late.append(found)
        if fate in ("taken", "twice"):
            self.feed.take(found)
        if fate == "twice" and not found.whole:
            self.feed.take(found)
        if self.late and self.dice.random() < 0.5:
            old = self.late.pop(self.dice.randrange(len(self.late)))
            if not old.whole:
                self.feed.take(old)
        if fate == "restart" and self.dice.random() < 0.2:
            self.feed = Feed()


class World:
    """Changes of all kinds, as clients make them."""

    def __init__(self, cloud: Cloud, dice: random.Random, networks: Sequence[Any], groups: Sequence[str]) -> None:
        self.cloud, self.dice, self.networks, self.groups = cloud, dice, networks, list(groups)
        self.ports: list[str] = []
        self.lists: list[str] = []
        self.policies: list[str] = []
        self.routers: dict[str, str] = {}  # by network
        self.floating = ""

    async def outside(self) -> None:
        """A router between the first network and an external one, with a floating IP."""
        public = await self.cloud.make("network", "admin", **{"router:external": True})
        await self.cloud.make("subnet", "admin", network_id=public["id"], cidr="198.51.100.0/24", enable_dhcp=False)
        router = await self.cloud.make("router", external_gateway_info={"network_id": public["id"]})
        body = {"subnet_id": self.networks[0]["subnets"][0]["id"]}
        assert (await self.cloud("PUT", f"/routers/{router['id']}/add_router_interface", json=body)).status == 200
        self.floating = (await self.cloud.make("floatingip", floating_network_id=public["id"]))["id"]
        self.number = 0

    def some_groups(self) -> list[str]:
        return self.dice.sample(self.groups, self.dice.randrange(len(self.groups) + 1))

    async def act(self) -> None:
        acts: list[Callable[[], Awaitable[None]]] = [
            self.make, self.make, self.make_many, self.delete, self.regroup, self.readdress, self.move, self.rule, self.unrule,
            self.listing, self.subnet, self.mtu, self.down, self.route, self.automatic,
            self.float, self.float, self.float, self.policy, self.police, self.police_network,
        ]  # fmt: skip
        await self.dice.choice(acts)()

    def where(self) -> str:
        return self.dice.choice([HOST, HOST, OTHER_HOST, ""])

    async def make(self) -> None:
        port = await self.cloud.bound(self.dice.choice(self.networks), self.where(), security_groups=self.some_groups())
        self.ports.append(port["id"])

    async def make_many(self) -> None:
        body = {"network_id": self.dice.choice(self.networks)["id"], "binding:host_id": self.where(), "project_id": PROJECT,
                "security_groups": self.some_groups()}  # fmt: skip
        made = await self.cloud("POST", "/ports", token="service", json={"ports": [body] * 3})
        self.ports += [port["id"] for port in made.json["ports"]]

    async def change(self, **values: Any) -> None:
        if self.ports:
            path = f"/ports/{self.dice.choice(self.ports)}"
            answer = await self.cloud("PUT", path, token="admin", json={"port": values})
            assert answer.status in (200, 400, 409), answer.content

    async def delete(self) -> None:
        if self.ports:
            port = self.ports.pop(self.dice.randrange(len(self.ports)))
            assert (await self.cloud("DELETE", f"/ports/{port}", token="admin")).status == 204

    async def regroup(self) -> None:
        await self.change(security_groups=self.some_groups())

    async def readdress(self) -> None:
        network = self.dice.choice(self.networks)
        (subnet, *_), number = network["subnets"], self.dice.randrange(100, 200)
        await self.change(
            fixed_ips=[{"subnet_id": subnet["id"], "ip_address": subnet["cidr"].replace("0/24", str(number))}]
        )

    async def move(self) -> None:
        await self.change(**{"binding:host_id": self.where()})

    async def down(self) -> None:
        await self.change(admin_state_up=self.dice.random() < 0.5)

    async def rule(self) -> None:
        self.number += 1
        remote: dict[str, str] = self.dice.choice(
            [{"remote_group_id": self.dice.choice(self.groups)}, {"remote_ip_prefix": f"10.9.{self.number}.0/24"},
             *({"remote_address_group_id": one} for one in self.lists)]
        )  # fmt: skip
        values = {"security_group_id": self.dice.choice(self.groups), "direction": "ingress", "protocol": "tcp"}
        ports = {"port_range_min": self.number, "port_range_max": self.number}
        await self.cloud.make("security_group_rule", **values, **ports, **remote)

    async def unrule(self) -> None:
        rules = (await self.cloud("GET", "/security-group-rules")).json["security_group_rules"]
        if rules:
            await self.cloud("DELETE", f"/security-group-rules/{self.dice.choice(rules)['id']}")

    async def listing(self) -> None:
        self.number += 1
        if not self.lists or self.dice.random() < 0.3:
            made = await self.cloud.make("address_group", name="list", addresses=[f"10.8.{self.number}.0/24"])
            self.lists.append(made["id"])
            return
        path = f"/address-groups/{self.dice.choice(self.lists)}/add_addresses"
        added = {"addresses": [f"10.8.{self.number}.0/24"]}
        assert (await self.cloud("PUT", path, json=added)).status == 200

    async def subnet(self) -> None:
        subnet = self.dice.choice(self.networks)["subnets"][0]["id"]
        body = {"subnet": {"dns_nameservers": [f"192.0.2.{self.dice.randrange(1, 200)}"]}}
        assert (await self.cloud("PUT", f"/subnets/{subnet}", json=body)).status == 200

    async def route(self) -> None:
        """A router comes to a subnet, or the one that is there goes."""
        network = self.dice.choice(self.networks[1:])  # the first one has its own
        body = {"subnet_id": network["subnets"][0]["id"]}
        if router := self.routers.pop(network["id"], ""):
            path = f"/routers/{router}/remove_router_interface"
        else:
            router = self.routers[network["id"]] = (await self.cloud.make("router", name="r"))["id"]
            path = f"/routers/{router}/add_router_interface"
        assert (await self.cloud("PUT", path, json=body)).status == 200

    async def float(self) -> None:
        """A floating IP leads to another port, or to none."""
        await self.change_floating(self.dice.choice([*self.ports, None]))

    async def change_floating(self, port: str | None) -> None:
        answer = await self.cloud("PUT", f"/floatingips/{self.floating}", json={"floatingip": {"port_id": port}})
        assert answer.status in (200, 400, 404), answer.content

    async def automatic(self) -> None:
        """A subnet in which each port has the address of its MAC, or none any more."""
        network = self.dice.choice(self.networks)
        if len(network["subnets"]) == 2:
            path = f"/subnets/{network['subnets'].pop()['id']}"
            assert (await self.cloud("DELETE", path)).status == 204
            return
        self.number += 1
        modes = {"ip_version": 6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        cidr = f"fd00:{self.number:x}::/64"
        network["subnets"].append(await self.cloud.make("subnet", network_id=network["id"], cidr=cidr, **modes))

    async def policy(self) -> None:
        """A new QoS policy, or another rule of one."""
        if len(self.policies) < 2:
            body = {"policy": {"project_id": PROJECT, "shared": True}}
            made = (await self.cloud("POST", "/qos/policies", token="admin", json=body)).json["policy"]["id"]
            self.policies.append(made)
        path = f"/qos/policies/{self.dice.choice(self.policies)}/dscp_marking_rules"
        for rule in (await self.cloud("GET", path, token="admin")).json["dscp_marking_rules"]:
            assert (await self.cloud("DELETE", f"{path}/{rule['id']}", token="admin")).status == 204
        body = {"dscp_marking_rule": {"dscp_mark": self.dice.choice([8, 10, 12])}}
        assert (await self.cloud("POST", path, token="admin", json=body)).status == 201

    async def police(self) -> None:
        await self.change(qos_policy_id=self.dice.choice([*self.policies, None]))

    async def police_network(self) -> None:
        body = {"network": {"qos_policy_id": self.dice.choice([*self.policies, None])}}
        path = f"/networks/{self.dice.choice(self.networks)['id']}"
        assert (await self.cloud("PUT", path, token="admin", json=body)).status == 200

    async def mtu(self) -> None:
        network = self.dice.choice(self.networks)["id"]
        body = {"network": {"mtu": self.dice.randrange(1280, 1400)}}
        assert (await self.cloud("PUT", f"/networks/{network}", token="admin", json=body)).status == 200


async def _world(cloud: Cloud, dice: random.Random) -> World:
    networks = []
    for number, kind in enumerate(("local", "local", "vxlan")):
        network = await cloud.make("network", "admin", project_id=PROJECT, **{"provider:network_type": kind})
        subnet = await cloud.make("subnet", network_id=network["id"], cidr=f"10.0.{number}.0/24")
        networks.append(network | {"subnets": [subnet]})
    groups = [(await cloud.make("security_group", name=f"g{number}"))["id"] for number in range(4)]
    for group, other in zip(groups, (groups[1], groups[0], groups[0], groups[3]), strict=True):
        await cloud.make("security_group_rule", security_group_id=group, direction="ingress", remote_group_id=other)
    world = World(cloud, dice, networks, groups)
    await world.outside()
    return world


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_lost_an_agent_comes_to_hold_the_whole_state(cloud: Cloud, seed: int) -> None:
    dice = random.Random(seed)
    _, plane = await cloud.agent(HOST, "192.0.2.1")
    await cloud.agent(OTHER_HOST, "192.0.2.2")
    world, agent = await _world(cloud, dice), Agent(cloud, dice)
    for _ in range(8):
        for _ in range(dice.randrange(1, 6)):
            await world.act()
            await agent.stir()
        assert told(await agent.ask()) == told(await whole(cloud))
    assert agent.parts > 1  # it was not always the whole

    async def settled() -> bool:
        return told(plane.state) == told(await whole(cloud))

    await until(settled)  # the real agent, by the messages


async def test_a_port_costs_a_few_statements_and_comes_alone(cloud: Cloud) -> None:
    await cloud.agent()
    network, _ = await cloud.network("10.0.0.0/16")
    body = [{"network_id": network["id"], "binding:host_id": HOST, "project_id": PROJECT} for _ in range(150)]
    assert (await cloud("POST", "/ports", token="service", json={"ports": body})).status == 201
    feed = Feed()
    feed.take(await asked(cloud))
    port = await cloud.bound(network)
    await cloud.forgotten()
    await asyncio.sleep(0.1)
    sent = await statements_of(cloud.service.database)
    found = await asked(cloud, feed.held())
    assert len(sent) <= 4
    assert [one.id for one in found.ports] == [port["id"]]
    assert (found.networks, found.rules, found.members, found.others) == ((), {}, {}, None)
    before = feed.model()
    after = feed.take(found)
    assert len(after.networks[0].ports) == 151
    assert all(mine is was for mine, was in zip(
        (one for one in after.networks[0].ports if one.id != port["id"]), before.networks[0].ports, strict=True
    ))  # fmt: skip


async def test_the_whole_state_comes_where_the_changes_are_not_known(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cloud.agent()
    network, _ = await cloud.network("10.0.0.0/16")
    await cloud.bound(network)
    feed = Feed()

    async def comes(*, in_parts: bool) -> None:
        found = await asked(cloud, feed.held())
        assert found.whole != in_parts
        assert feed.take(found) == await whole(cloud)

    await comes(in_parts=False)  # the first
    await cloud.bound(network)
    await comes(in_parts=True)
    await comes(in_parts=True)  # nothing new
    body = [{"network_id": network["id"], "binding:host_id": HOST, "project_id": PROJECT} for _ in range(MOST + 1)]
    assert (await cloud("POST", "/ports", token="service", json={"ports": body})).status == 201
    await comes(in_parts=False)  # too many at once
    feed.doubt()
    await comes(in_parts=False)
    await cloud.bound(network)
    monkeypatch.setattr(feeds, "KEPT", 0)
    await cloud.agents[0]._report_state()

    async def cleaned() -> bool:
        async with cloud.service.database.reading() as connection:
            known = await feeds.since(connection, AGENT_TYPE, HOST, 0)
        return known[0].news is None

    await until(cleaned)
    await comes(in_parts=False)  # the change is too old
    feed.revision += 5
    await comes(in_parts=False)  # the database is an older one
    (agent,) = (await cloud("GET", f"/agents?host={HOST}&agent_type={AGENT_TYPE}", token="admin")).json["agents"]
    assert (await cloud("DELETE", f"/agents/{agent['id']}", token="admin")).status == 204
    await comes(in_parts=False)  # another agent's feed


async def test_an_agent_that_was_down_and_did_not_restart_asks_for_everything(cloud: Cloud) -> None:
    """While it was down, changes of what it only filters by were not written for it."""
    agent, _ = await cloud.agent()
    network, _ = await cloud.network()
    await cloud.bound(network)
    feed = Feed()
    feed.take(await asked(cloud))
    async with cloud.service.database.transaction() as tx:
        from sqlalchemy import update

        from kilonova.network.tables import agents

        await tx.connection.execute(update(agents).values(heartbeat_timestamp="2020-01-01T00:00:00Z"))
    await agent._report_state()

    async def again() -> bool:
        return (await asked(cloud, feed.held())).whole

    await until(again)


async def test_an_older_service_is_asked_for_the_whole_state(cloud: Cloud) -> None:
    agent, plane = await cloud.agent()

    async def unknown(*_: Any) -> HostChanges:
        raise errors.BusError(reason="network has no method host_changes")

    agent._plugin.host_changes = unknown  # type: ignore[method-assign]
    network, _ = await cloud.network()
    port = await cloud.bound(network)
    await until(lambda: [one.id for n in plane.state.networks for one in n.ports] == [port["id"]])


def test_an_answer_to_an_older_question_changes_nothing() -> None:
    feed = Feed()
    feed.take(HostChanges(feed="f", revision=7, whole=True))
    before = feed.held()
    feed.take(HostChanges(feed="f", revision=9, since=6, gone=("p",)))
    feed.take(HostChanges(feed="g", revision=9, since=7))
    assert feed.held() == before
    feed.doubt()
    assert feed.held() == Held()
    feed.take(HostChanges(feed="f", revision=8, since=7))  # asked before the doubt: still true
    assert (feed.revision, feed.held()) == (8, Held())


def test_a_group_that_no_rule_refers_to_any_more_has_no_members() -> None:
    rule = RuleModel(id="r", direction="ingress", ethertype="IPv4", remote_group_id="g")
    port = PortModel(id="p", network_id="n", project_id="x", mac_address="m", security_groups=("g",))
    network = NetworkModel(id="n", project_id="x")
    feed = Feed()
    feed.take(
        HostChanges(feed="f", revision=1, whole=True, networks=(network,), ports=(port,), rules={"g": (rule,)},
                    members={"g": {"p": ("10.0.0.3",)}})
    )  # fmt: skip
    assert feed.model().security_groups == (SecurityGroupModel(id="g", rules=(rule,), members=("10.0.0.3",)),)
    feed.take(HostChanges(feed="f", revision=2, since=1, rules={"g": ()}))
    assert feed.model().security_groups == (SecurityGroupModel(id="g"),)
    assert feed.held().members == ()
