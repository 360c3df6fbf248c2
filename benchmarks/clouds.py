"""The clouds that benchmarks drive: one process on SQLite, or many on RabbitMQ and PostgreSQL. Fake driver."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.results import median_ms
from kilonova.compute.virt.libvirt import daemons
from kilonova.testing.cluster import Cluster
from tests.process.cloud.harness import PASSWORD, Api, CloudProcess

CLIENT = Path(os.environ.get("KILONOVA_BENCH_CLIENT", "../shared/bench/bench_cloud.py"))
LEAST = {"flavor": {"name": "least", "vcpus": 1, "ram": 1, "disk": 0}}
PER_REQUEST = 50
UNLIMITED = {"quota_set": dict.fromkeys(("instances", "cores", "ram"), -1)}


class Cloud:
    """A running cloud: its administrator's client, the URL of identity, the pids of its processes, its folder."""

    def __init__(self, api: Api, auth_url: str, pids: list[int], state: Path) -> None:
        self.api, self.auth_url, self.pids, self.state = api, auth_url, pids, state
        self.image, self._flavor = api.image("bench"), ""
        api.ok("PUT", "compute", f"/os-quota-sets/{api.project_id}", UNLIMITED)

    def cpu_seconds(self) -> float:
        """User and system time of all processes so far."""
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def reads(self, service: str, path: str) -> float:
        """How long a GET takes, in milliseconds."""
        return median_ms(lambda: self.api.ok("GET", service, path))

    def fill(self, count: int) -> str:
        """So many more servers, of the least flavor; the id of one of them."""
        if not self._flavor:
            self._flavor = self.api.ok("POST", "compute", "/flavors", LEAST)["flavor"]["id"]
        made, body = "", {"name": "many", "imageRef": self.image, "flavorRef": self._flavor, "networks": "none"}
        for start in range(0, count, PER_REQUEST):
            part = min(PER_REQUEST, count - start)
            wanted = body | {"min_count": part, "max_count": part}
            made = self.api.ok("POST", "compute", "/servers", {"server": wanted})["server"]["id"]
        while self.api.ok("GET", "compute", "/servers?status=BUILD&limit=1")["servers"]:
            time.sleep(0.2)
        failed = self.api.ok("GET", "compute", "/servers?status=ERROR&limit=1")["servers"]
        if failed:
            raise RuntimeError(f"a server failed: {self.api.server(failed[0]['id'])['fault']}")
        return made

    @property
    def login(self) -> dict[str, str]:
        """The administrator's, as clients read it from the environment."""
        return {
            "OS_AUTH_URL": self.auth_url, "OS_USERNAME": "admin", "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": "admin",
        }  # fmt: skip

    def client(self, *options: str) -> dict[str, Any]:
        """What the neutral load client measures."""
        return measured(self.login, *options)


def measured(login: dict[str, str], *options: str) -> dict[str, Any]:
    """What the neutral load client measures of the cloud that `login` (OS_…) names."""
    done = subprocess.run(
        [sys.executable, str(CLIENT), *options], env=os.environ | login, capture_output=True, text=True, timeout=1800,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{CLIENT}: {done.stderr[-500:]}")
    return dict(json.loads(done.stdout))


@contextmanager
def workplace() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kilonova-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def one_process(hosts: int = 5, wrap: list[str] | None = None, **env: str) -> Iterator[Cloud]:
    """`wrap` is a command that runs the command that follows it, in its own place; `env` are settings."""
    with workplace() as folder:
        process = CloudProcess(folder, extra=["--fake-hosts", str(hosts)], wrap=wrap).start(**env)
        try:
            assert process.process is not None
            yield Cloud(process.api(), f"{process.url}/identity/v3", [process.process.pid], folder)
        finally:
            process.stop()


@contextmanager
def distributed(hosts: int = 5) -> Iterator[Cloud]:
    """API, conductor, scheduler and agents as processes."""
    names = [f"host{n}" for n in range(1, hosts + 1)]
    with workplace() as folder, Cluster(folder, {"compute": names, "network-agent": names}) as cluster:
        pids = [process.pid for process in cluster.processes.values()]
        yield Cloud(Api(cluster.url, "admin"), cluster.url("identity") + "/v3", pids, folder)


@contextmanager
def end_libvirt() -> Iterator[None]:
    """Where libvirt's daemons were not running before, they end afterwards, unless guests run by then."""
    ran = daemons.SOCKET.exists() and asyncio.run(daemons.answers(daemons.SOCKET))
    try:
        yield
    finally:
        left = subprocess.run(
            ["virsh", "-q", "list", "--name"], capture_output=True, text=True, timeout=60, check=False
        )
        if not ran and left.returncode == 0 and not left.stdout.strip():
            for name in ("libvirtd", "virtlogd"):
                os.kill(int((daemons.PID_DIR / f"{name}.pid").read_text()), signal.SIGTERM)
