"""A cluster with an image and a network in it, gates at every step of a launch, and what must be true of it at rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kilonova.compute.steps import STEPS
from kilonova.testing.cluster import Cluster, Layout
from tests.eventually import PATIENCE, NotInTime, eventually
from tests.process.cloud.harness import Api

T = TypeVar("T")
OWNERS = {"api": "compute-api", "conductor": "conductor", "scheduler": "scheduler", "compute": "compute"}
"""Component as the table of steps names it → the process that runs its steps."""
AT_REQUEST = ("authenticate", "authorize")
"""Steps that every request has."""
LAUNCH = "POST /compute/v2.1/servers"
LOOK = 0.1  # seconds between looks
AWAY = (httpx.TransportError, AssertionError)
"""What is excused while a service is unreachable, or not yet at rest."""


class Scene:
    """`api` is an ordinary user, `admin` an operator."""

    def __init__(self, folder: Path, layout: Layout | None = None, **more: Any) -> None:
        self.gates = folder / "gates"
        self.gates.mkdir(parents=True)
        for step in STEPS:
            for when in ("before", "after"):
                self.gate(step.name, when).touch()
        environment = {owner: {"KILONOVA_FAULTS": self._rules(component)} for component, owner in OWNERS.items()}
        self.cluster = Cluster(folder, layout, environment=environment, **more)

    def _rules(self, component: str) -> str:
        rules = []
        for step in STEPS:
            if step.component == component:
                where = f",at={LAUNCH}" if step.name in AT_REQUEST else ""
                rules += [
                    f"step={step.name},when={when},do=wait:{self.gate(step.name, when)}{where}"
                    for when in ("before", "after")
                ]
        return ";".join(rules)

    def __enter__(self) -> Scene:
        self.cluster.__enter__()
        self.admin, self.api = Api(self.cluster.url, "admin"), Api(self.cluster.url, "demo")
        self.image, self.network = self.api.image("grid"), self.api.network("grid", "10.60.0.0/16")
        self.flavor = self.api.flavor_id()
        return self

    def __exit__(self, *of: object) -> None:
        self.cluster.__exit__(*of)

    def logs(self) -> str:
        """For a test that failed: the compute services as an operator sees them, and every process's last words."""
        try:
            services = self.admin.ok("GET", "compute", "/os-services")["services"]
            known = [f"{s['binary']} {s['host']}: {s['status']}, {s['state']}, {s['updated_at']}" for s in services]
        except AWAY as error:
            known = [f"no services: {error}"]
        words = [
            f"--- {p.name} ({'runs' if p.is_alive() else 'ended'})\n{p.words(8)}"
            for p in self.cluster.processes.values()
        ]
        return "\n".join([*known, *words])

    # ---- gates

    def gate(self, step: str, when: str) -> Path:
        return self.gates / f"{step}-{when}"

    def close_gate(self, step: str, when: str) -> None:
        gate = self.gate(step, when)
        gate.with_name(gate.name + ".reached").unlink(missing_ok=True)
        gate.unlink(missing_ok=True)

    def reached(self, step: str, when: str) -> str:
        """The process that stands at the gate, once one does."""
        note = self.gate(step, when).with_name(f"{step}-{when}.reached")
        pid = eventually(lambda: note.exists() and note.read_text(), f"nobody came to {step}, {when}")
        return self.cluster.name_of(int(pid))

    def open_gate(self, step: str, when: str) -> None:
        self.gate(step, when).touch()

    # ---- servers

    def body(self, name: str, **fields: Any) -> dict[str, Any]:
        networks = [{"uuid": self.network}]
        server = {"name": name, "imageRef": self.image, "flavorRef": self.flavor, "networks": networks}
        return {"server": server | fields}

    def launch(self, name: str, **fields: Any) -> str | None:
        """The server's id, or None when the request was cut off or refused by a service that was away."""
        try:
            answer = self.api("POST", "compute", "/servers", self.body(name, **fields))
        except httpx.TransportError:
            return None
        if answer.status_code == 202:
            return str(answer.json()["server"]["id"])
        assert answer.status_code in (500, 503), f"{name}: {answer.status_code} {answer.text}"
        return None

    def unlimited(self) -> None:
        """No quota keeps the user from many servers."""
        quotas = {"instances": -1, "cores": -1, "ram": -1}
        self.admin.ok("PUT", "compute", f"/os-quota-sets/{self.api.project_id}", {"quota_set": quotas})
        self.admin.ok("PUT", "network", f"/quotas/{self.api.project_id}", {"quota": {"port": -1}})

    def big_flavor(self, vcpus: int) -> str:
        """The id of a flavor with so many cores."""
        flavor = {"name": f"cores-{vcpus}-{time.monotonic_ns()}", "vcpus": vcpus, "ram": 64, "disk": 1}
        return str(self.admin.ok("POST", "compute", "/flavors", {"flavor": flavor})["flavor"]["id"])

    def servers(self) -> list[dict[str, Any]]:
        """All of the user's, however many."""
        found: list[dict[str, Any]] = []
        while True:
            marker = f"&marker={found[-1]['id']}" if found else ""
            page = self.api.ok("GET", "compute", f"/servers/detail?limit=1000{marker}")["servers"]
            found += page
            if len(page) < 1000:
                return found

    def ended(self, within: float = PATIENCE) -> list[dict[str, Any]]:
        """All servers, when none is busy any more."""

        def look() -> tuple[list[dict[str, Any]]]:
            building = self.api.ok("GET", "compute", "/servers/detail?status=BUILD&limit=3")["servers"]
            held = building or self.servers()  # many of them are work for the services too
            busy = [s for s in held if s["status"] == "BUILD" or s["OS-EXT-STS:task_state"]]
            if busy:
                raise NotInTime(", ".join(f"{s['name']} {s['status']}/{s['OS-EXT-STS:task_state']}" for s in busy[:5]))
            return (held,)  # which may be empty

        (held,) = eventually(look, "servers are still busy", within, excused=AWAY)
        return held

    def delete_all(self) -> None:
        """Every server, and until none is left."""
        for server in retried(self.servers):
            retried(lambda id=server["id"]: self.api("DELETE", "compute", f"/servers/{id}"))
        eventually(lambda: not self.servers(), "servers are still there", excused=AWAY)

    def ports(self) -> list[dict[str, Any]]:
        """Those of servers."""
        found = retried(lambda: self.api.ok("GET", "network", "/ports"))["ports"]
        return [port for port in found if port["device_owner"].startswith("compute:")]

    # ---- what must be true at rest

    def clean(self, within: float = PATIENCE) -> None:
        """Nothing unexplained is left, once what goes on had time to end."""

        def look() -> bool:
            found = self.admin.ok("GET", "ops", "/verify")["unexplained"]
            if found:
                raise NotInTime("; ".join(f"{f['where']}: {f['what']}: {f['why']}" for f in found[:5]))
            return True

        eventually(look, "verify", within, excused=AWAY)

    def check(self, servers: Iterable[dict[str, Any]]) -> None:
        """ACTIVE with one port, or ERROR with a reason and none; and `verify` is clean."""
        ports = self.ports()
        for server in servers:
            held = [port for port in ports if port["device_id"] == server["id"]]
            if server["status"] == "ACTIVE":
                assert len(held) == 1, f"{server['name']} has {len(held)} ports"
            else:
                assert server["status"] == "ERROR", f"{server['name']} is {server['status']}"
                assert server["fault"]["message"], f"{server['name']} failed without a reason"
        self.clean()


def retried(ask: Callable[[], T], within: float = PATIENCE) -> T:
    """The answer, asked again while a service is unreachable."""

    def answered(answer: T) -> bool:
        return not isinstance(answer, httpx.Response) or answer.status_code < 500

    return eventually(ask, "no answer", within, LOOK, AWAY, answered)
