"""Health without a token, start-up in any order, what a process says while it waits."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import free_port
from tests.eventually import eventually
from tests.process.cluster.scene import Scene
from tests.process.serve.processes import Served, health, is_ready, write_toml


class Forwarder:
    """A TCP port before another one, which can be shut."""

    def __init__(self, port: int) -> None:
        self.target, self.port = port, free_port()
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for sock in (sock for pair in self._pairs for sock in pair):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self._pairs.append((near, far))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def served(scene: Scene, tmp_path: Path, component: str, port: int, **env: str) -> Iterator[Served]:
    """One more process of the scene's cloud, with some settings of its own."""
    option = "--port" if component in ("image", "placement") else "--health-port"
    words = ("serve", component, "--config", str(scene.cluster.config), option, str(port))
    with Served(tmp_path / f"{component}.log", *words, "--state", str(tmp_path / "state"), env=env) as process:
        yield process


def test_all_components_are_healthy(scene: Scene) -> None:
    for process in scene.cluster.processes.values():
        for path in ("/healthcheck", "/healthcheck/ready"):
            assert health(process.port, path) == (200, {"ready": True, "state": "serving", "missing": []}), process.name
        assert health(process.port, "/healthcheck/live") == (200, {"live": True})
    unsigned = httpx.get(scene.cluster.url("metadata") + "/openstack/latest/meta_data.json", trust_env=False)
    assert unsigned.status_code == 403
    one = scene.cluster.processes["compute-api-1"]
    assert health(one.port, "/healthcheck/else")[0] == 404
    head = httpx.head(f"http://127.0.0.1:{one.port}/healthcheck", trust_env=False)
    assert (head.status_code, head.content) == (200, b"")


def test_up_is_healthy_too(scene: Scene, tmp_path: Path) -> None:
    port = free_port()
    words = ("up", "--driver", "fake", "--port", str(port), "--state", str(tmp_path / "state"))
    with Served(tmp_path / "up.log", *words) as cloud:
        eventually(lambda: is_ready(port), lambda: f"not ready: {cloud.words()}")
        assert health(port, "/healthcheck/live") == (200, {"live": True})


def test_without_identity_an_api_is_alive_but_not_ready(scene: Scene) -> None:
    port = scene.cluster.processes["placement-1"].port
    scene.cluster.kill("identity-1")
    eventually(
        lambda: health(port) == (503, {"ready": False, "state": "serving", "missing": ["identity"]}), str(health(port))
    )
    assert health(port, "/healthcheck/live")[0] == 200
    scene.cluster.start_process("identity-1")
    eventually(lambda: is_ready(port), str(health(port)))


def test_an_api_that_starts_before_identity_waits_for_it(scene: Scene, tmp_path: Path) -> None:
    identity, port = Forwarder(scene.cluster.processes["identity-1"].port), free_port()
    url = f"http://127.0.0.1:{identity.port}/identity"
    with served(scene, tmp_path, "placement", port, KILONOVA_ENDPOINTS_IDENTITY=url) as process:
        process.says("connect to identity")
        assert url in process.words()
        assert health(port) == (503, {"ready": False, "state": "starting", "missing": ["identity"]})
        early = httpx.get(f"http://127.0.0.1:{port}/placement/", trust_env=False)
        assert (early.status_code, early.headers["retry-after"]) == (503, "2")
        identity.open()
        eventually(lambda: is_ready(port), process.words)
        assert httpx.get(f"http://127.0.0.1:{port}/placement/", trust_env=False).status_code == 200
        assert process.terminate() == 0
    identity.shut()


def test_a_component_waits_for_its_broker_and_is_not_ready_when_it_is_lost(scene: Scene, tmp_path: Path) -> None:
    url = urlsplit(scene.cluster.engines["broker"].url)  # type: ignore[attr-defined]
    forwarder, port = Forwarder(url.port or 0), free_port()
    far = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{forwarder.port}")).geturl()
    with served(scene, tmp_path, "scheduler", port, KILONOVA_BUS_URL=far + "?open_timeout=1") as process:
        process.says("connect to the message broker")
        assert PASSWORD not in process.words()
        assert url.password not in process.words()
        assert health(port)[1]["missing"] == ["bus"]
        forwarder.open()
        eventually(lambda: is_ready(port), process.words)
        forwarder.shut()
        eventually(lambda: health(port)[1].get("missing") == ["bus"], process.words)
        forwarder.open()
        eventually(lambda: is_ready(port), process.words)
        assert process.terminate() == 0
    forwarder.shut()


def test_a_component_waits_for_its_database(scene: Scene, tmp_path: Path) -> None:
    port = free_port()
    far = f"postgresql://kilonova:{PASSWORD}@127.0.0.1:{free_port()}/placement"
    with served(scene, tmp_path, "placement", port, KILONOVA_DATABASE_PLACEMENT=far) as process:
        process.says("connect to the placement database")
        assert PASSWORD not in process.words()
        assert health(port) == (503, {"ready": False, "state": "starting", "missing": ["placement database"]})
        assert process.terminate() == 0


def test_a_database_that_is_not_migrated_is_refused(scene: Scene, tmp_path: Path) -> None:
    blank = f"sqlite:///{tmp_path}/blank.sqlite"
    with served(scene, tmp_path, "placement", free_port(), KILONOVA_DATABASE_PLACEMENT=blank) as process:
        assert process.ended() == 2
        assert "run `kilonova db upgrade`" in process.words()
        assert "Traceback" not in process.words()


def test_missing_settings_are_named(tmp_path: Path) -> None:
    config = write_toml(tmp_path / "k.toml", {"cloud": {"state_dir": str(tmp_path / "state")}})
    for component, word in (("image", "[secrets] service_password"), ("conductor", "[secrets] service_password")):
        with Served(tmp_path / "log", "serve", component, "--config", str(config)) as process:
            assert process.ended() == 2
            assert word in process.words()
    given = {"KILONOVA_SECRETS_SERVICE_PASSWORD": PASSWORD}
    for env, word in (
        ({}, "needs a broker"),
        ({"KILONOVA_BUS_URL": "carrier-pigeon://x"}, "known: memory://, amqp://"),
    ):
        with Served(tmp_path / "log2", "serve", "conductor", "--config", str(config), env=given | env) as process:
            assert process.ended() == 2
            assert word in process.words()
            assert "Traceback" not in process.words()
