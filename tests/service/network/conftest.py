"""The network service with one agent on a data plane that only remembers, and something that stands where compute is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kilonova.core.service import Core
from kilonova.network.agent.manager import NetworkAgent
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.app import RESOURCES, NetworkService
from kilonova.network.client import NetworkClient
from kilonova.network.options import NetworkOptions
from kilonova.network.resources.base.resource import AnyResource
from tests.eventually import until
from tests.support import PROJECT, Client, make_core

HOST = "host-1"


class FakeCompute:
    """Takes events; answers with `status`, and 400 to those of the port `unread`."""

    def __init__(self) -> None:
        self.events: list[dict[str, str]] = []
        self.requests = 0
        self.status, self.unread = 200, ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests += 1
        assert (scope["method"], scope["path"]) == ("POST", "/v2.1/os-server-external-events")
        events = msgspec.json.decode(body)["events"]
        refused = self.unread in {event["tag"] for event in events}
        status = 400 if refused and self.status == 200 else self.status
        if status == 200:
            self.events += events
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def named(self, name: str) -> list[dict[str, str]]:
        return [event for event in self.events if event["name"] == name]


@dataclass
class Cloud:
    core: Core
    client: Client
    service: NetworkService
    compute: FakeCompute
    network_client: NetworkClient
    agents: list[NetworkAgent] = field(default_factory=list)

    async def __call__(self, method: str, path: str, **more: Any) -> Any:
        more.setdefault("token", "member")
        return await self.client(method, "/network/v2.0" + path, **more)

    async def make(self, resource: str, token: str = "member", **values: Any) -> Any:
        """A new object; fails the test when it is refused."""
        path = f"/{resource.replace('_', '-')}s"
        answer = await self("POST", path, token=token, json={resource: values})
        assert answer.status == 201, answer.content
        return answer.json[resource]

    async def network(self, cidr: str = "10.0.0.0/24", token: str = "member", **subnet: Any) -> tuple[Any, Any]:
        network = await self.make("network", token, name="net")
        return network, await self.make("subnet", token, network_id=network["id"], cidr=cidr, **subnet)

    async def forgotten(self) -> None:
        """Until the outbox forgot what it delivered."""
        await until(lambda: not self.service.outbox.sending)

    async def agent(self, host: str = HOST, tunnel_ip: str = "") -> tuple[NetworkAgent, NoopDataPlane]:
        plane = NoopDataPlane(tunnel_ip)
        agent = NetworkAgent(self.core, plane, host)
        await agent.start()
        self.agents.append(agent)
        return agent, plane

    async def bound(self, network: Any, host: str = HOST, **more: Any) -> Any:
        """A port of a server on a host, as compute makes it."""
        values = {"device_id": self.core.clock.uuid(), "device_owner": "compute:nova", "binding:host_id": host}
        return await self.make("port", "service", network_id=network["id"], project_id=PROJECT, **(values | more))

    async def port(self, port_id: str) -> Any:
        return (await self("GET", f"/ports/{port_id}", token="admin")).json["port"]


@asynccontextmanager
async def running(
    folder: Path, options: NetworkOptions, resources: Sequence[AnyResource] = RESOURCES
) -> AsyncIterator[Cloud]:
    core, gateway, client = make_core(folder)
    service = NetworkService(core, options, resources=resources)
    compute = FakeCompute()
    gateway.apps |= {service.prefix: service.app, "/compute": compute}
    await service.start()
    made = Cloud(core, client, service, compute, NetworkClient(core))
    yield made
    for agent in made.agents:
        await agent.stop()
    await service.stop()


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with running(tmp_path, NetworkOptions(dns_servers=("9.9.9.9",))) as made:
        yield made
