"""A whole cloud as its own process, as a user starts it, and a client that speaks to it over a socket."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from kilonova.testing.cluster import PASSWORD
from kilonova.testing.engines import free_port
from tests.eventually import PATIENCE, NotInTime, eventually

DOMAIN = {"name": "Default"}
VERSIONS = {"identity": "/v3", "compute": "/v2.1", "image": "/v2", "network": "/v2.0", "volume": "/v3"}


class Urls(dict[str, str]):
    """Of services, each made when it is asked for: a cloud need not have all of them."""

    def __init__(self, base: Callable[[str], str]) -> None:
        super().__init__()
        self.base = base

    def __missing__(self, service: str) -> str:
        url = self[service] = self.base(service) + VERSIONS.get(service, "")
        return url


class Api:
    """A user's requests. `api("POST", "compute", "/servers", {...})` returns an httpx.Response. `place` is the URL before all
    services' prefixes, or gives a service's base URL."""

    def __init__(self, place: str | Callable[[str], str], user: str, *, version: str = "2.90") -> None:
        self.user, self.version = user, version
        self.http = httpx.Client(timeout=PATIENCE, trust_env=False)
        self.urls = Urls(place if callable(place) else f"{place}/{{}}".format)
        self.token: str | None = self.login()

    def login(self) -> str:
        user = {"name": self.user, "domain": DOMAIN, "password": PASSWORD}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self.user, "domain": DOMAIN}},
            }
        }
        answer = self.http.post(f"{self.urls['identity']}/auth/tokens", json=body)
        assert answer.status_code == 201, answer.text
        self.project_id = answer.json()["token"]["project"]["id"]
        return answer.headers["x-subject-token"]

    def __call__(
        self, method: str, service: str, path: str, body: Any = None, *, content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        sent = {"OpenStack-API-Version": f"compute {self.version}", "Accept": "application/json"} | (headers or {})
        if service in ("placement", "volume"):
            sent["OpenStack-API-Version"] = {"placement": "placement 1.39", "volume": "volume 3.71"}[service]
        if self.token is not None:
            sent["X-Auth-Token"] = self.token
        return self.http.request(method, self.urls[service] + path, json=body, content=content, headers=sent)

    def ok(self, method: str, service: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of a successful answer."""
        answer = self(method, service, path, body, **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def server(self, server_id: str) -> dict[str, Any]:
        return dict(self.ok("GET", "compute", f"/servers/{server_id}")["server"])

    def wait(self, server_id: str, *statuses: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The server once it is idle in one of the statuses; fails early on an unexpected ERROR."""

        def settled(found: dict[str, Any]) -> bool:
            assert found["status"] != "ERROR" or "ERROR" in statuses, found.get("fault")
            return found["status"] in statuses and found["OS-EXT-STS:task_state"] is None

        return eventually(
            lambda: self.server(server_id), f"the server is not {' or '.join(statuses)}", timeout, satisfies=settled
        )

    def wait_gone(self, server_id: str, timeout: float = PATIENCE) -> None:
        eventually(
            lambda: self("GET", "compute", f"/servers/{server_id}").status_code == 404,
            lambda: f"it is still there: {self.server(server_id)}", timeout,
        )  # fmt: skip

    def unexplained(self, within: float, *, but: str = "") -> list[dict[str, str]]:
        """What `kilonova verify` names, a host that is down left out, when it names nothing or time is up."""

        def look() -> list[dict[str, str]]:
            return [item for item in self.ok("GET", "ops", "/verify")["unexplained"] if not but or item["where"] != but]

        with contextlib.suppress(NotInTime):
            return eventually(look, within=within, satisfies=lambda found: not found)
        return look()

    def flavor_id(self, name: str = "m1.tiny") -> str:
        flavors = self.ok("GET", "compute", "/flavors")["flavors"]
        return str(next(f["id"] for f in flavors if f["name"] == name))

    def image(self, name: str, content: bytes = b"\0" * 65536, **fields: Any) -> str:
        """A new raw image with this content; its id."""
        body = {"name": name, "disk_format": "raw", "container_format": "bare"} | fields
        image_id = self.ok("POST", "image", "/images", body)["id"]
        answer = self(
            "PUT", "image", f"/images/{image_id}/file", content=content,
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        assert answer.status_code == 204, answer.text
        return str(image_id)

    def network(self, name: str = "net", cidr: str = "10.50.0.0/24") -> str:
        network_id = self.ok("POST", "network", "/networks", {"network": {"name": name}})["network"]["id"]
        self.ok("POST", "network", "/subnets", {"subnet": {"network_id": network_id, "cidr": cidr, "ip_version": 4}})
        return str(network_id)

    def external_network(self, cidr: str) -> str:
        """For administrators: one that floating IPs are of."""
        network: dict[str, Any] = {"name": "public", "router:external": True}
        made = str(self.ok("POST", "network", "/networks", {"network": network})["network"]["id"])
        subnet = {"network_id": made, "ip_version": 4, "cidr": cidr, "enable_dhcp": False}
        self.ok("POST", "network", "/subnets", {"subnet": subnet})
        return made

    def routed_network(self, cidr: str, external: str) -> str:
        """Behind a router to an external network."""
        made = self.network("behind", cidr)
        router = {"name": "edge", "external_gateway_info": {"network_id": external}}
        router_id = self.ok("POST", "network", "/routers", {"router": router})["router"]["id"]
        (subnet,) = self.ok("GET", "network", f"/subnets?network_id={made}")["subnets"]
        self.ok("PUT", "network", f"/routers/{router_id}/add_router_interface", {"subnet_id": subnet["id"]})
        return made

    def launch(self, image_id: str, networks: Any = "none", **fields: Any) -> str:
        body = {"name": "vm", "imageRef": image_id, "flavorRef": self.flavor_id(), "networks": networks} | fields
        return str(self.ok("POST", "compute", "/servers", {"server": body})["server"]["id"])


def installed_package(folder: Path, name: str, code: str, points: str) -> Path:
    """`folder`, for PYTHONPATH, with a package of one module as pip leaves it; `points` is its entry_points.txt."""
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(points)
    return folder


class CloudProcess:
    """`kilonova up` from a state directory. Can be killed and started again."""

    def __init__(
        self, state: Path, *, driver: str = "fake", extra: list[str] | None = None, wrap: list[str] | None = None
    ) -> None:
        """`wrap` is a command that runs the command that follows it, in its own place."""
        self.state, self.driver, self.extra, self.wrap = state, driver, extra or [], wrap or []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.state / "test.log"

    def start(self, **env: str) -> CloudProcess:
        self.state.mkdir(parents=True, exist_ok=True)
        given = {"KILONOVA_ADMIN_PASSWORD": PASSWORD, "KILONOVA_DEMO_PASSWORD": PASSWORD} | env
        command = [
            *self.wrap, sys.executable, "-m", "kilonova", "up", "--state", str(self.state), "--port", str(self.port),
            "--driver", self.driver, *self.extra,
        ]  # fmt: skip
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | given)
        eventually(self._is_ready, lambda: f"not ready: {self.words()}", pause=0.02)
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended: {self.words()}"
        return self._noted_pid() == self.process.pid

    def _noted_pid(self) -> int | None:
        try:
            return int(json.loads((self.state / "kilonova.json").read_text())["pid"])
        except (FileNotFoundError, ValueError):
            return None

    def words(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def logs(self) -> str:
        """For a test that failed."""
        return f"--- kilonova up\n{self.words(100)}"

    def api(self, user: str = "admin", **more: Any) -> Api:
        return Api(self.url, user, **more)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def died(self, timeout: float = 20) -> int:
        """Wait for the process's own death; its return code."""
        assert self.process is not None
        return self.process.wait(timeout)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        if self.log.exists():
            lost = [line for line in self.log.read_text(errors="replace").splitlines() if "was never awaited" in line]
            assert lost == []

    def verify(self, timeout: float = 30) -> list[dict[str, str]]:
        """What nothing explains, once work in progress had time to end; [] is clean."""
        return self.api().unexplained(timeout)
