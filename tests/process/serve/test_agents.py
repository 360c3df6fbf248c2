"""Compute and network agents run with a broker and the APIs: no database is configured, loaded or made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import free_port
from tests.eventually import eventually
from tests.process.cloud.harness import Api
from tests.process.cluster.scene import Scene
from tests.process.serve.processes import Served, is_ready, write_toml

pytestmark = pytest.mark.cluster
SQL = re.compile(r"\b(sqlalchemy|alembic|asyncpg|asyncmy|sqlite3|kilonova\.core\.db)\b")


def launched_and_deleted(api: Api, image: str, host: str, **fields: str) -> None:
    server = api.launch(image, "none", **fields)
    assert api.wait(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == host
    api.ok("DELETE", "compute", f"/servers/{server}")
    api.wait_gone(server)


@pytest.mark.parametrize("host", ["bare-host"])
def test_a_launch_through_agents_without_a_database(scene: Scene, tmp_path: Path, host: str) -> None:
    cluster = scene.cluster
    endpoints = {name: cluster.url(name) for name in ("identity", "image", "network", "compute", "placement")}
    config = write_toml(
        tmp_path / "agent.toml",
        {
            "bus": {"url": cluster.engines["broker"].url},
            "endpoints": endpoints,
            "secrets": {"service_password": PASSWORD, "metadata_secret": PASSWORD},
            "agent": {"driver": "fake", "host": host},
            "cloud": {"state_dir": str(tmp_path / "state")},
        },
    )
    ports = {component: free_port() for component in ("compute", "network-agent")}
    agents = [
        Served(
            tmp_path / f"{component}.log", "serve", component, "--config", str(config), "--health-port", str(port),
            python=("-X", "importtime"),
        )
        for component, port in ports.items()
    ]  # fmt: skip
    with agents[0], agents[1]:
        for agent, port in zip(agents, ports.values(), strict=True):
            eventually(lambda port=port: is_ready(port), agent.words)
        image = scene.admin.image("bare")
        launched_and_deleted(scene.admin, image, host, availability_zone=f"nova:{host}")
        assert [agent.terminate() for agent in agents] == [0, 0]
    # no launch of the next tests may go there: a scheduler hears at its next launch that a host is disabled, and seconds later
    # that it is deleted
    (service,) = scene.admin.ok("GET", "compute", f"/os-services?host={host}&binary=nova-compute")["services"]
    path = f"/os-services/{service['id']}"
    scene.admin.ok("PUT", "compute", path, {"status": "disabled"})
    launched_and_deleted(scene.admin, image, "host1")
    scene.admin.ok("DELETE", "compute", path)
    for agent in agents:
        assert "kilonova.core.bus" in agent.words()  # imports are printed
        assert SQL.findall(agent.words()) == []
    assert list(tmp_path.rglob("*sqlite*")) == []
