"""A cloud of many processes on real engines, on this machine: each is started, killed and started again by its name.

    with Cluster(folder, {"compute-api": 2, "compute": ["host1", "host2"]}) as cluster:
        cluster.url("compute")                     # http://127.0.0.1:…/compute
        cluster.kill("conductor-1")                # SIGKILL
        cluster.start_process("conductor-1")       # again, ready when this returns
        cluster.kill("broker"); cluster.start_process("broker")

A name is `COMPONENT-NUMBER`, for what runs on every host `COMPONENT@HOST`, and `broker`, `database`, `cache` or `balancer` for
an engine. The configuration is one TOML file; what differs between processes comes by their environment. Everything ends
with the process that made the cluster, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import msgspec

from kilonova.core.bus.senders import HostUsers
from kilonova.core.clock import SYSTEM
from kilonova.network.agent.metadata_signature import host_secret
from kilonova.settings import DATABASES, SecretSettings
from kilonova.testing.engines import Engine, HAProxy, Memcached, PostgreSQL, RabbitMQ, free_port
from kilonova.testing.engines.base import LOOPBACK, spawn

Layout = Mapping[str, int | Sequence[str]]

LAYOUT: dict[str, int | Sequence[str]] = {
    "identity": 1, "image": 1, "placement": 1, "network-api": 1, "compute-api": 1, "conductor": 1, "scheduler": 1,
    "network-agent": ["host1", "host2"], "compute": ["host1", "host2"],
}  # fmt: skip
"""Component → how many, or the hosts it runs on."""
SERVICES = {
    "identity": "identity", "image": "image", "placement": "placement", "compute-api": "compute", "network-api": "network",
    "volume": "volume", "metadata": "metadata", "console-proxy": "console",
}  # fmt: skip
"""Components that serve HTTP → the service's name, which is its prefix."""
ENGINES: dict[str, Callable[..., Engine]] = {"broker": RabbitMQ, "database": PostgreSQL, "cache": Memcached}
SHARED_STATE = frozenset(["identity", "image"])
"""Components whose processes share a state directory: token keys, image files."""
PASSWORD = "test-password-1"  # noqa: S105 - of everyone in a cluster for tests
READY_TIMEOUT, STOP_TIMEOUT = 180.0, 180.0
LOOK = 0.02  # seconds between looks


class ClusterFailed(Exception):
    """The text names the process and ends with its last words."""


class Place(Protocol):
    """A host of its own, as kilonova.testing.hosts makes them: its address, and the words that run a command in it."""

    address: str

    def wrap(self, *command: str) -> list[str]: ...


@dataclass
class Process:
    """One `kilonova serve COMPONENT`, in a place of its own or on this machine."""

    name: str
    component: str
    port: int
    address: str
    log: Path
    variables: dict[str, str]
    place: Place | None = None
    host: str = ""
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        if self.popen is None:
            raise ClusterFailed(f"{self.name} was not started")
        return self.popen.pid

    def is_alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def is_ready(self, http: httpx.Client) -> bool:
        try:
            return http.get(f"http://{self.address}:{self.port}/healthcheck/ready").status_code == 200
        except httpx.TransportError:
            return False

    def words(self, lines: int = 5) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.strip().splitlines()[-lines:])


class Cluster:
    """`layout` wins over LAYOUT, component by component (0 or [] for none); `settings` are the TOML's sections; `environment`
    gives a process's own variables by its name or component; `places` are those of the hosts that have one. `engines` that run
    already may be given, by their names here. With `balanced` each service of several processes has a haproxy.
    `progress` is called with what is being started."""

    def __init__(
        self,
        folder: Path,
        layout: Layout | None = None,
        *,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        engines: Mapping[str, Engine] | None = None,
        places: Mapping[str, Place] | None = None,
        address: str = LOOPBACK,
        balanced: bool = False,
        tied: bool = True,
        progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.progress = progress
        self.folder, self.address, self.tied = folder, address, tied
        self.layout = LAYOUT | dict(layout or {})
        self.settings, self.environment, self.places = settings or {}, environment or {}, places or {}
        self.config = folder / "kilonova.toml"
        self._own_engines: dict[str, Engine] = {
            name: make(folder, tied=tied, address=address)
            for name, make in ENGINES.items()
            if name not in (engines or {})
        }
        self.engines: dict[str, Engine] = {**self._own_engines, **(engines or {})}
        self.processes = {p.name: p for p in self._made()}
        if balanced and (routes := self._routes()):
            balancer = HAProxy(folder, routes, tied=tied, address=address)
            self.engines["balancer"] = self._own_engines["balancer"] = balancer
        self._http = httpx.Client(timeout=2, trust_env=False)
        # tied children end with the thread that started them: these threads live as long as the cluster
        self._threads = ThreadPoolExecutor(len(self.engines))

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- all of it

    def start(self) -> Self:
        """Engines side by side, migrations, identity, then everything else side by side; returns when all are ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.progress("engines: " + ", ".join(engine.name for engine in self._own_engines.values()))
        list(self._threads.map(lambda engine: engine.start(), self._own_engines.values()))
        if self.host_users:
            self.engines["broker"].add_hosts(self.host_users, *self._hosts())  # type: ignore[attr-defined]
        database = self.engines["database"]
        for service in DATABASES:
            database.url(service)  # type: ignore[attr-defined]
        self.config.write_text(self._toml())
        self.config.chmod(0o600)
        self.progress("databases")
        self.command("db", "upgrade")
        self.command("bootstrap")
        self.progress(f"{len(self.processes)} processes")
        first = self.names("identity")
        self.start_process(*first)
        self.start_process(*(name for name in self.processes if name not in first))
        return self

    def stop(self) -> None:
        """SIGTERM to all, agents first, then the engines; what does not end in time is killed."""
        self.stop_process(*reversed(self.processes))
        for engine in reversed(self._own_engines.values()):
            engine.stop()
        self._threads.shutdown()

    # ---- one of them

    def start_process(self, *names: str, ready: bool = True, variables: Mapping[str, str] | None = None) -> None:
        """Start processes or engines side by side, with `variables` in their environment for this life. Returns when they
        are `ready`. Raises ClusterFailed."""
        for name in names:
            if name in self.engines:
                self._threads.submit(self.engines[name].start).result()
            else:
                self._launch(self.processes[name], variables or {})
        if ready:
            self.wait_ready(*names)

    def wait_ready(self, *names: str) -> None:
        until = SYSTEM.monotonic() + READY_TIMEOUT
        for process in (self.processes[name] for name in names if name in self.processes):
            while not process.is_ready(self._http):
                if not process.is_alive() or SYSTEM.monotonic() > until:
                    raise ClusterFailed(f"{process.name} is not ready: {process.words()}")
                time.sleep(LOOK)

    def kill(self, name: str) -> None:
        """SIGKILL, and its end is awaited."""
        if name in self.engines:
            self.engines[name].kill()
        else:
            self._end([self.processes[name]], signal.SIGKILL)

    def stop_process(self, *names: str) -> None:
        """SIGTERM, and their ends are awaited."""
        for name in names:
            if name in self.engines:
                self.engines[name].stop()
        self._end([self.processes[name] for name in names if name in self.processes], signal.SIGTERM)

    def restart(self, name: str, variables: Mapping[str, str] | None = None) -> None:
        self.stop_process(name)
        self.start_process(name, variables=variables)

    # ---- what it is

    def names(self, component: str) -> list[str]:
        return [process.name for process in self.processes.values() if process.component == component]

    def name_of(self, pid: int) -> str:
        """The process with this pid."""
        return next(p.name for p in self.processes.values() if p.popen is not None and p.popen.pid == pid)

    def url(self, service: str) -> str:
        """A service's base URL; `ops` is beside compute."""
        if service == "ops":
            return self.url("compute").removesuffix("/compute") + "/ops"
        component = next(component for component, name in SERVICES.items() if name == service)
        return f"http://{self.address}:{self._front_port(component)}/{service}"

    def log(self, name: str) -> Path:
        return self.processes[name].log if name in self.processes else self.engines[name].log

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`kilonova WORDS` with the cluster's configuration. Raises ClusterFailed unless it ends well."""
        done = subprocess.run(
            [sys.executable, "-m", "kilonova", *words, "--config", str(self.config)], capture_output=True, text=True,
            timeout=READY_TIMEOUT, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise ClusterFailed(f"kilonova {' '.join(words)}: {done.stderr or done.stdout}")
        return done

    # ---- inside

    def _made(self) -> Iterable[Process]:
        for component, places in self.layout.items():
            if isinstance(places, int):
                named = [(f"{component}-{number}", "") for number in range(1, places + 1)]
            else:
                named = [(f"{component}@{host}", host) for host in places]
            for name, host in named:
                port, place = free_port(self.address), self.places.get(host)
                address = place.address if place else self.address
                variables = self._variables(name, component, host, port) | {"KILONOVA_SERVE_LISTEN": address}
                log = self.folder / "logs" / f"{name}.log"
                yield Process(name, component, port, address, log, variables, place, host)

    def _variables(self, name: str, component: str, host: str, port: int) -> dict[str, str]:
        state = host or (component if component in SHARED_STATE else name)
        kind = "PORT" if component in SERVICES else "HEALTH_PORT"
        made = {
            f"KILONOVA_SERVE_{kind}": str(port),
            "KILONOVA_CLOUD_STATE_DIR": str(self.folder / "state" / state),
            "KILONOVA_AGENT_HOST": host or name,
        }
        return made | dict(self.environment.get(component, {})) | dict(self.environment.get(name, {}))

    @property
    def host_users(self) -> str:
        """What [bus] host_users says: with it, each host has a broker user and secrets of its own, and none of the cloud's."""
        return str(self.settings.get("bus", {}).get("host_users", ""))

    def _hosts(self) -> set[str]:
        return {process.host for process in self.processes.values() if process.host}

    def _own_of(self, host: str) -> dict[str, str]:
        """What a host has for itself, as variables: no database, no cache, its own secrets."""
        if not host or not self.host_users:
            return {}
        broker: Any = self.engines["broker"]
        user = HostUsers(self.host_users).user_of(host)
        none = {f"KILONOVA_SECRETS_{name}".upper(): "" for name in SecretSettings.__struct_fields__}
        return none | {
            "KILONOVA_BUS_URL": broker.url_of(user),
            "KILONOVA_DATABASE_URL": "",
            "KILONOVA_CACHE_URL": "memory://",
            "KILONOVA_SECRETS_COMPUTE_PASSWORD": PASSWORD,
            "KILONOVA_SECRETS_METADATA_SECRET": host_secret(PASSWORD, host),
        }

    def _routes(self) -> dict[str, tuple[int, list[str]]]:
        several = {service: self.names(component) for component, service in SERVICES.items()}
        return {
            service: (free_port(self.address), [f"{self.address}:{self.processes[name].port}" for name in names])
            for service, names in several.items()
            if len(names) > 1
        }

    def _front_port(self, component: str) -> int:
        balancer = self.engines.get("balancer")
        if isinstance(balancer, HAProxy) and SERVICES[component] in balancer.routes:
            return balancer.routes[SERVICES[component]][0]
        return self.processes[self.names(component)[0]].port

    def _toml(self) -> str:
        """TOML, whose values are written as JSON."""
        served = {service: self.url(service) for component, service in SERVICES.items() if self.names(component)}
        database: Any = self.engines["database"]
        broker: Any = self.engines["broker"]
        cache: Any = self.engines["cache"]
        document: dict[str, dict[str, Any]] = {
            "bus": {"url": broker.url},
            "database": {"url": database.url_template},
            "cache": {"url": cache.url},
            "endpoints": served,
            "serve": {"drain_notice": 0.0},
            "secrets": dict.fromkeys(SecretSettings.__struct_fields__, PASSWORD),
            "agent": {"driver": "fake"},
        }
        for section, values in self.settings.items():
            document.setdefault(section, {}).update(values)
        lines = []
        for section, values in document.items():
            lines += [f"[{section}]", *(f"{key} = {_toml_value(value)}" for key, value in values.items()), ""]
        return "\n".join(lines)

    def _launch(self, process: Process, variables: Mapping[str, str]) -> None:
        process.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "kilonova", "serve", process.component, "--config", str(self.config)]
        if process.place is not None:
            command = process.place.wrap(*command)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("KILONOVA_")}
        with process.log.open("ab") as output:
            process.popen = spawn(
                command, tied=self.tied, stdout=output, stderr=output,
                env=inherited | self._own_of(process.host) | process.variables | dict(variables),
            )  # fmt: skip

    def _end(self, processes: Sequence[Process], how: signal.Signals) -> None:
        living = [p.popen for p in processes if p.popen is not None and p.popen.poll() is None]
        for popen in living:
            os.killpg(popen.pid, how) if how == signal.SIGKILL else popen.send_signal(how)
        for popen in living:
            try:
                popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(held)}" for key, held in value.items()) + " }"
    return msgspec.json.encode(value).decode()
