"""Clouds of several compute hosts that a scenario may kill and start again: in one process, or of many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

import uvicorn

from kilonova.cloud import Cloud
from kilonova.compute.agent.service import ComputeAgent
from kilonova.core import log
from kilonova.core.faults import FaultRule
from kilonova.network.agent.manager import NetworkAgent
from kilonova.settings import load
from kilonova.testing.cluster import Cluster
from tests.eventually import PATIENCE, eventually, until
from tests.process.cloud.harness import PASSWORD, Api, free_port

T = TypeVar("T")
LOOK = 0.05


class Hosts(Protocol):
    """What a scenario needs of a cloud. Fake guests outlive their host's death, as real ones do while only the agent dies."""

    names: list[str]

    def api(self, user: str = "admin", **more: Any) -> Api: ...

    def kill_host(self, name: str) -> None: ...

    def start_host(self, name: str) -> None: ...


class ClusterHosts:
    """The hosts of a Cluster, each a compute and a network agent of their own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.names = [name.partition("@")[2] for name in cluster.names("compute")]

    def api(self, user: str = "admin", **more: Any) -> Api:
        return Api(self.cluster.url, user, **more)

    def kill_host(self, name: str) -> None:
        self.cluster.kill(f"compute@{name}")
        self.cluster.kill(f"network-agent@{name}")

    def start_host(self, name: str) -> None:
        self.cluster.start_process(f"network-agent@{name}", f"compute@{name}")


class ThreadedCloud:
    """`kilonova up` in a thread of this process, so that single hosts of it can be stopped. `fake` are the fake driver's
    options, `compute` those of the compute service."""

    def __init__(self, state: Path, *, hosts: int = 3, compute: dict[str, Any] | None = None, **fake: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        overrides: dict[str, Any] = {
            "cloud": {"state_dir": str(state), "port": self.port, "fake_hosts": hosts},
            "agent": {"driver": "fake", "host": "h", "stop_grace": 0.0},
            "secrets": {"admin_password": PASSWORD, "demo_password": PASSWORD},
            "driver": {"fake": fake},
            "compute": compute or {},
        }
        self.settings = load(None, overrides=overrides, env={})
        self.names = [f"h-{number}" for number in range(1, hosts + 1)]
        self._agents: dict[str, tuple[NetworkAgent, ComputeAgent]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> ThreadedCloud:
        log.configure(level="warning", json=True)  # tracebacks with colours and locals take longer than launches
        self._thread.start()
        self.run(self._start())
        return self

    async def _start(self) -> None:
        self.cloud = Cloud(self.settings, env={})
        await self.cloud.start()
        services = self.cloud.services
        networks = {service.host: service for service in services if isinstance(service, NetworkAgent)}
        computes = {service.host: service for service in services if isinstance(service, ComputeAgent)}
        self._agents = {name: (networks[name], computes[name]) for name in self.names}
        config = uvicorn.Config(self.cloud.app, port=self.port, log_config=None, lifespan="off", server_header=False)
        self._server = uvicorn.Server(config)
        self._serving = asyncio.ensure_future(self._server.serve())
        await until(lambda: self._server.started)

    def stop(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _stop(self) -> None:
        self._server.should_exit = True
        await self._serving
        await self.cloud.stop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """In the cloud's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def api(self, user: str = "admin", **more: Any) -> Api:
        return Api(self.url, user, **more)

    def agent(self, name: str) -> ComputeAgent:
        return self._agents[name][1]

    def fail(self, step: str, host: str, when: str = "before") -> None:
        """The host's next time at the step fails."""
        self.cloud.core.faults.rules.append(FaultRule(step=step, when=when, do="fail", host=host))

    def kill_host(self, name: str) -> None:
        self.run(self._kill(name))

    async def _kill(self, name: str) -> None:
        network, compute = self._agents[name]
        for service in (compute, network):
            self.cloud.services.remove(service)
            self.cloud._started.remove(service)
            await service.stop()

    def start_host(self, name: str) -> None:
        self.run(self._revive(name))

    async def _revive(self, name: str) -> None:
        network, old = self._agents[name]
        host = old.manager.host
        compute = ComputeAgent(self.cloud.core, name, host.driver, host.journal, old.options, old.transfers)
        self._agents[name] = (network, compute)
        for service in (network, compute):
            self.cloud.services.append(service)
            self.cloud._started.append(service)
            await service.start()


def force_down(api: Api, host: str) -> None:
    """An operator says that a host is dead."""
    api.ok("PUT", "compute", _service(api, host), {"forced_down": True})


def force_up(api: Api, host: str) -> None:
    """An operator says that it is not, once it is rid of what was evacuated from it."""
    path = _service(api, host)
    eventually(
        lambda: api("PUT", "compute", path, {"forced_down": False}).status_code == 200, f"{host} can't be forced up"
    )


def _service(api: Api, host: str) -> str:
    (service,) = api.ok("GET", "compute", f"/os-services?host={host}&binary=nova-compute")["services"]
    return f"/os-services/{service['id']}"


def unexplained(api: Api, *, dead: str = "", within: float = PATIENCE) -> list[dict[str, str]]:
    """What `kilonova verify` names, without the dead host, once it names nothing or time is up."""
    return api.unexplained(within, but=dead)
