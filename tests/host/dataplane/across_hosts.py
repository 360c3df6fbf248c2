"""Guests of one network on several hosts: the service, its agents over the bus, and what every overlay must do between virtual
hosts. Guests are namespaces. A test module inherits the suite, and imports the fixtures; its fixture `chosen` names the part."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kilonova.network.agent.manager import NetworkAgent
from kilonova.network.agent.model import FixedIP, PortModel, bridge_name, tap_name
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.app import NetworkService
from kilonova.network.client import NetworkClient
from kilonova.network.options import NetworkOptions
from kilonova.testing.hosts import Underlay, VirtualHost
from tests.eventually import until
from tests.host.dataplane.conformance import Client
from tests.host.dataplane.lab import SNIFF, SOON, Guest, arp, frames_of, udp4
from tests.host.dataplane.remote import RemoteDataPlane
from tests.service.network.conftest import Cloud, FakeCompute
from tests.support import make_core

do = asyncio.to_thread
DHCP_IP = "198.18.7.2"
PAUSE = 0.1  # seconds between packets
FULL, TOO_BIG = "1422", "1423"  # bytes that make a packet of 1450, and one more


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, VirtualHost]]:
    """Three hosts on an underlay."""
    folder = Path(tempfile.mkdtemp(prefix="kilonova-", dir="/tmp"))
    folder.chmod(0o755)
    with Underlay.claim("kx") as underlay:
        hosts = {name: VirtualHost(underlay, name, number, folder / name) for number, name in enumerate("abc", 1)}
        for host in hosts.values():
            host.start()
        yield hosts
        for host in hosts.values():
            host.cleanup()
    shutil.rmtree(folder)


class Lab:
    """A network service, and an agent on each of `places` that was asked for."""

    def __init__(self, cloud: Cloud, places: dict[str, VirtualHost], folder: Path, chosen: dict[str, str]) -> None:
        self.cloud, self.places, self.folder, self.chosen = cloud, places, folder, chosen
        self.instance = "x" + secrets.token_hex(1)
        self.planes: dict[str, RemoteDataPlane] = {}
        self.agents: dict[str, NetworkAgent] = {}
        self.guests: dict[str, Guest] = {}

    async def start(self, *names: str) -> None:
        await asyncio.gather(*(self._start(name) for name in names))

    async def _start(self, name: str) -> None:
        place = self.places[name]
        options = DataPlaneOptions(
            state_dir=str(self.folder / name),
            instance=self.instance,
            tunnel_ip=place.address,
            vxlan_port=14789,
            **self.chosen,
        )
        self.planes[name] = RemoteDataPlane(place, options)
        self.agents[name] = NetworkAgent(self.cloud.core, self.planes[name], name)
        await self.agents[name].start()

    async def crash(self, name: str) -> None:
        """The agent's process dies."""
        await self.planes[name].kill()
        agent = self.agents.pop(name)
        await agent.stop()

    async def network(self) -> Any:
        network, _ = await self.cloud.network("198.18.7.0/24")
        return (await self.cloud("GET", f"/networks/{network['id']}", token="admin")).json["network"]

    async def guest(self, network: Any, name: str, *, static: bool = True, **more: Any) -> Guest:
        port = await self.cloud.bound(network, host=name, **more)
        return await self.plug(port, name, static=static)

    async def plug(self, port: Any, name: str, *, static: bool = True, quiet: bool = False) -> Guest:
        """Returns when the service knows that the port is wired."""
        await until(lambda: self._stands_ready(name, port["id"]))
        fixed = tuple(FixedIP(**ip) for ip in port["fixed_ips"])
        model = PortModel(
            id=port["id"], network_id=port["network_id"], project_id=port["project_id"], fixed_ips=fixed,
            mac_address=port["mac_address"],
        )  # fmt: skip
        guest = Guest(model, self.places[name])
        self.guests[port["id"]] = await do(lambda: guest.plug(static=static, quiet=quiet))

        async def active() -> bool:
            return (await self.cloud.port(port["id"]))["status"] == "ACTIVE"

        await until(active)
        return guest

    def _stands_ready(self, name: str, port_id: str) -> bool:
        return tap_name(port_id) in self.agents[name]._ports

    async def update(self, kind: str, item: str, **values: Any) -> None:
        paths = {"port": "ports", "network": "networks"}
        answer = await self.cloud("PUT", f"/{paths[kind]}/{item}", token="admin", json={kind: values})
        assert answer.status == 200, answer.content

    def devices(self, name: str) -> dict[str, int]:
        """Device → index."""
        said = self.places[name].run("ip", "-o", "link").stdout
        return {device: int(number) for number, device in re.findall(r"^(\d+): ([^:@]+)", said, re.M)}

    async def close(self) -> None:
        for guest in self.guests.values():
            guest.unplug()
        for agent in self.agents.values():
            await agent.stop()
        await asyncio.gather(*(self._clean(name) for name in self.planes))

    async def _clean(self, name: str) -> None:
        """By a new process, as `kilonova clean` does."""
        await self.planes[name].open()
        await self.planes[name].close(remove=True)
        assert set(self.devices(name)) == {"lo", "eth0"}
        place = self.places[name]
        assert "qdhcp" not in place.run("ip", "netns").stdout
        assert self.instance not in place.run("nft", "list", "tables").stdout


@pytest.fixture
async def lab(places: dict[str, VirtualHost], chosen: dict[str, str], tmp_path: Path) -> AsyncIterator[Lab]:
    core, gateway, client = make_core(tmp_path)
    service = NetworkService(core, NetworkOptions(network_type="vxlan"))
    compute = FakeCompute()
    gateway.apps |= {service.prefix: service.app, "/compute": compute}
    await service.start()
    folder = Path(tempfile.mkdtemp(prefix="kilonova-", dir="/tmp"))
    folder.chmod(0o755)
    lab = Lab(Cloud(core, client, service, compute, NetworkClient(core)), places, folder, chosen)
    try:
        yield lab
    finally:
        await lab.close()
        await service.stop()
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0 or not shutil.which("nft"):
        pytest.skip("needs root and the data plane's tools")


def address(guest: Guest) -> str:
    return guest.port.fixed_ips[0].ip_address


async def reaches(source: Guest, target: Guest) -> bool:
    return await do(source.pings, address(target), patience=SOON)


async def misses(source: Guest, target: Guest) -> bool:
    return not await reaches(source, target)


class OverlayConformance:
    """Guests of one network meet wherever they are. `kind` is what leftovers call the part's devices."""

    kind: str

    def device(self, instance: str, segmentation_id: int) -> str:
        """The device of a host by which a network's frames leave it."""
        raise NotImplementedError

    def reached(self, lab: Lab, name: str, network: Any) -> set[str]:
        """Names of the hosts that this one sends to what is for all."""
        raise NotImplementedError

    async def test_guests_meet_and_their_dhcp_stays_at_home(self, lab: Lab, tmp_path: Path) -> None:
        await lab.start("a", "b")
        network = await lab.network()
        assert network["mtu"] == 1450
        one, two = await asyncio.gather(lab.guest(network, "a"), lab.guest(network, "b"))
        assert self.reached(lab, "a", network) == {"b"}
        assert self.reached(lab, "b", network) == {"a"}
        for source, target in ((one, two), (two, one)):
            assert await do(source.pings, address(target), "-M", "do", "-s", FULL)
            assert not await do(source.pings, address(target), "-M", "do", "-s", TOO_BIG, patience=SOON)
        await do(two.listen)
        assert await do(one.connects, address(two))

        asks = Client(tmp_path)
        three = await lab.guest(network, "a", static=False)
        dhcp_mac = (await lab.cloud("GET", "/ports?device_owner=network:dhcp")).json["ports"][0]["mac_address"]
        device = self.device(lab.instance, network["provider:segmentation_id"])
        sniffer = await do(two.start, SNIFF, device, outside=True)
        got = await do(asks.ask, three)
        assert (got["ip"], got["mtu"], got["serverid"]) == (address(three), "1450", DHCP_IP)
        replies = await do(one.inside, "arping", "-c", "3", "-I", "eth0", DHCP_IP)
        assert "Received 3 response" in replies
        assert await do(one.pings, DHCP_IP)
        assert await do(one.pings, "169.254.169.254")
        await do(one.send, arp(one.port.mac_address, one.port.mac_address, address(one), "198.18.7.200"))
        seen = "\n".join(await do(frames_of, sniffer))
        assert "c61207c8" in seen  # what is for all guests crosses
        for own in ("63825363", dhcp_mac.replace(":", ""), "c6120702", "a9fea9fe"):
            assert own not in seen

    async def test_groups_hold_across_hosts(self, lab: Lab) -> None:
        await lab.start("a", "b")
        network = await lab.network()
        web, db = [(await lab.cloud.make("security_group", name=name))["id"] for name in ("web", "db")]
        one = await lab.guest(network, "a", security_groups=[web])
        two = await lab.guest(network, "b", security_groups=[db])
        assert not await do(one.pings, address(two), patience=SOON)
        rule = await lab.cloud.make(
            "security_group_rule", security_group_id=db, direction="ingress", protocol="icmp", remote_group_id=web
        )
        await until(lambda: reaches(one, two), pause=PAUSE)
        assert not await do(two.pings, address(one), patience=SOON)
        await lab.update("port", one.port.id, security_groups=[db])
        await until(lambda: misses(one, two), pause=PAUSE)
        await lab.update("port", one.port.id, security_groups=[db, web])
        await until(lambda: reaches(one, two), pause=PAUSE)
        assert (await lab.cloud("DELETE", f"/security-group-rules/{rule['id']}")).status == 204
        await until(lambda: misses(one, two), pause=PAUSE)

        await lab.cloud.make("security_group_rule", security_group_id=db, direction="ingress", protocol="udp")
        mac, word = one.port.mac_address, b"kilonova".hex()
        frame = udp4(mac, address(one), 1000, address(two), 2000)
        await until(lambda: do(two.sees, word, one, frame), pause=PAUSE)
        assert not await do(two.sees, word, one, udp4(mac, "198.18.7.77", 1000, address(two), 2000))
        assert not await do(two.sees, word, one, udp4("fa:16:3e:00:00:99", address(one), 1000, address(two), 2000))

    async def test_traffic_goes_on_without_agent_and_service(self, lab: Lab) -> None:
        await lab.start("a", "b")
        network = await lab.network()
        one, two = await lab.guest(network, "a"), await lab.guest(network, "b")
        assert await do(one.pings, address(two))
        before = lab.devices("a")
        pinging = asyncio.ensure_future(do(one.inside, "ping", "-i", "0.05", "-c", "100", address(two), check=False))
        await lab.crash("a")
        await lab.cloud.bound(network, host="c")  # while a is blind
        await lab.start("c")
        await until(lambda: self.reached(lab, "b", network) == {"a", "c"})
        assert self.reached(lab, "a", network) == {"b"}
        await lab.start("a")
        assert self.reached(lab, "a", network) == {"b", "c"}
        assert lab.devices("a") == before
        await lab.cloud.service.stop()
        assert await do(two.pings, address(one))
        assert " 0% packet loss" in await pinging
        lab.cloud.service = NetworkService(lab.cloud.core, NetworkOptions(network_type="vxlan"))
        await lab.cloud.service.start()

    async def test_hosts_join_and_leave_and_guests_move(self, lab: Lab) -> None:
        await lab.start("a", "b", "c")
        network = await lab.network()
        one, two = await lab.guest(network, "a"), await lab.guest(network, "b")
        assert await do(one.pings, address(two))
        three = await lab.guest(network, "c")
        await until(
            lambda: (self.reached(lab, "a", network), self.reached(lab, "b", network)) == ({"b", "c"}, {"a", "c"})
        )
        assert await do(three.pings, address(one))
        assert await do(one.pings, address(three))

        two.unplug()
        await lab.update("port", two.port.id, **{"binding:host_id": "c"})
        moved = await lab.plug(await lab.cloud.port(two.port.id), "c", quiet=True)
        await until(lambda: self.reached(lab, "a", network) == {"c"})
        assert await do(one.pings, address(moved), "-M", "do", "-s", FULL)
        await until(lambda: bridge_name(network["id"]) not in lab.devices("b"))
        assert self.device(lab.instance, network["provider:segmentation_id"]) not in lab.devices("b")

        body = {
            "id": moved.port.id, "network_id": network["id"], "binding:host_id": "a", "project_id": moved.port.project_id,
            "device_id": (await lab.cloud.port(moved.port.id))["device_id"], "device_owner": "compute:nova",
        }  # fmt: skip
        moved.unplug()
        answer = await lab.cloud(
            "POST", "/ports", token="service", json={"ports": [body]}
        )  # a launch tried again elsewhere
        assert answer.status == 201, answer.content
        back = await lab.plug(await lab.cloud.port(moved.port.id), "a")
        assert await do(three.pings, address(back))

        kinds = {(v.kind, v.name) for v in await lab.planes["a"].leftovers()}
        assert (self.kind, self.device(lab.instance, network["provider:segmentation_id"])) in kinds
        wanted = await lab.cloud.service._plugin._hosts.model("a")
        assert await lab.planes["a"].stale(wanted) == []
        alone = replace(
            wanted, networks=tuple(replace(n, ports=tuple(p for p in n.ports if p.local)) for n in wanted.networks)
        )
        assert {v.kind for v in await lab.planes["a"].stale(alone)} == {"peer"}
        three.unplug()
        await lab.cloud.network_client.delete_ports([three.port.id])
        await until(lambda: self.reached(lab, "a", network) == set())
        await until(lambda: lab.devices("c").keys() == {"lo", "eth0"})
        assert await do(one.pings, address(back))
