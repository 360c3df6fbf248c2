"""Console proxies as processes of their own: any of them opens any console, and a token works once in all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.testing.engines import free_port
from tests.eventually import eventually
from tests.process.cloud.consoles import opened, refused, said, serial, vnc
from tests.process.cluster.scene import Scene
from tests.process.serve.processes import Served, is_ready, write_toml
from tests.process.serve.test_agents import SQL

pytestmark = pytest.mark.cluster


def test_several_proxies(scene: Scene) -> None:
    cluster, api = scene.cluster, scene.api
    server = api.launch(scene.image)
    api.wait(server, "ACTIVE")
    first, second = (cluster.processes[name] for name in cluster.names("console-proxy"))

    def at_second(url: str) -> str:
        assert f":{first.port}/" in url
        return url.replace(f":{first.port}/", f":{second.port}/")

    url = serial(api, server)
    with opened(at_second(url)) as console:
        console.send("root\r")
        said(console, b"Hello, root")
        assert refused(url) == 403
        cluster.kill(first.name)
        console.send("again\r")
        said(console, b"Hello, again")
    with opened(at_second(vnc(api, server))) as console:
        said(console, b"RFB 003.008")
    cluster.start_process(first.name)
    with opened(vnc(api, server)) as console:
        said(console, b"RFB 003.008")
    api.ok("DELETE", "compute", f"/servers/{server}")
    api.wait_gone(server)


def test_a_proxy_needs_the_broker_alone(scene: Scene, tmp_path: Path) -> None:
    """No database, no secret, no account, no other service's address."""
    port = free_port()
    config = write_toml(
        tmp_path / "proxy.toml",
        {
            "bus": {"url": scene.cluster.engines["broker"].url},
            "cloud": {"state_dir": str(tmp_path / "state")},
            "endpoints": {"console": f"http://127.0.0.1:{port}/console"},
        },
    )
    log = tmp_path / "proxy.log"
    words = ("serve", "console-proxy", "--config", str(config), "--port", str(port))
    server = scene.api.launch(scene.image)
    scene.api.wait(server, "ACTIVE")
    with Served(log, *words, python=("-X", "importtime")) as proxy:
        eventually(lambda: is_ready(port), proxy.words)
        url = serial(scene.api, server)
        theirs = scene.cluster.url("console").rsplit(":", 1)[1]
        with opened(url.replace(theirs, f"{port}/console")) as console:
            said(console, b"login: ")
        assert proxy.terminate() == 0
    assert "kilonova.core.bus" in proxy.words()  # imports are printed
    assert SQL.findall(proxy.words()) == []
    scene.api.ok("DELETE", "compute", f"/servers/{server}")
    scene.api.wait_gone(server)
