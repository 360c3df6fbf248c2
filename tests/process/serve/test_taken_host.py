"""A compute host that was taken over, with all that it has: its configuration, its account, its broker user, the grants of its
servers. It can neither read what belongs to servers of other hosts nor change it, by REST, by the bus or by the metadata
address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiormq.exceptions import ChannelAccessRefused

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import BuildOutcome, ServerBuild, ServerChange, Vif
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.core import errors
from kilonova.core.bus.amqp import AmqpBus
from kilonova.core.context import RequestContext
from kilonova.core.grants import HEADER
from kilonova.network.agent.feed import Held
from kilonova.network.agent.interface import NetworkAgentAPI, NetworkPluginAPI
from kilonova.network.agent.metadata_signature import (
    HOST,
    INSTANCE_ID,
    SIGNATURE,
    TENANT_ID,
    host_secret,
    sign_instance,
)
from kilonova.testing.cluster import PASSWORD, Cluster
from kilonova.testing.engines import RabbitMQ
from tests.component.core.brokers import channel
from tests.eventually import eventually
from tests.process.cloud.harness import DOMAIN, Api
from tests.process.serve.conftest import engines

pytestmark = pytest.mark.cluster
USERS = "kilonova-host-{host}"
MINE, OTHERS = "host2", "host1"  # the hosts
CTX = RequestContext(request_id="req-1", roles=("admin",), is_service=True, sender=OTHERS)
REFUSED = (401, 403, 404)
NAMED_REFUSED = "may not send"


class Taken:
    """What the attacker has, and two servers: `theirs` on another host, `mine` on this one, each with its private image and a
    port on a network of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.broker = cluster, cluster.engines["broker"]
        assert isinstance(self.broker, RabbitMQ)
        self.url = self.broker.url_of(f"kilonova-host-{MINE}")
        self.admin, demo = Api(cluster.url, "admin"), Api(cluster.url, "demo")
        self.images = {OTHERS: demo.image("theirs", b"a secret" * 8192), MINE: self.admin.image("mine")}
        self.networks = {
            OTHERS: demo.network("theirs", "10.61.0.0/24"),
            MINE: self.admin.network("mine", "10.62.0.0/24"),
        }
        self.projects = {OTHERS: demo.project_id, MINE: self.admin.project_id}
        self.theirs = self._launched(demo, OTHERS, user_data="c2VjcmV0")
        self.mine = self._launched(self.admin, MINE)
        self.http = httpx.Client(timeout=60, trust_env=False)
        self.token = self._login()

    def _launched(self, _owner: Api, host: str, **more: Any) -> str:
        owner = _owner
        zone = {"availability_zone": f"nova:{host}"} if owner is self.admin else {}
        others = [h for h in (MINE, OTHERS) if h != host]
        for other in others if not zone else []:
            self._enable(other, status="disabled")
        server = owner.launch(self.images[host], [{"uuid": self.networks[host]}], **zone, **more)
        found = owner.wait(server, "ACTIVE")
        for other in others if not zone else []:
            self._enable(other, status="enabled")
        assert self.admin.server(server)["OS-EXT-SRV-ATTR:host"] == host, found
        return server

    def _enable(self, host: str, status: str) -> None:
        query = f"/os-services?host={host}&binary=nova-compute"
        found = eventually(lambda: self.admin.ok("GET", "compute", query)["services"], f"host {host} has reported")
        self.admin.ok("PUT", "compute", f"/os-services/{found[0]['id']}", {"status": status})

    def _login(self) -> str:
        user = {"name": "kilonova-compute", "domain": DOMAIN, "password": PASSWORD}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                         "scope": {"project": {"name": "service", "domain": DOMAIN}}}}  # fmt: skip
        answer = self.http.post(f"{self.cluster.url('identity')}/v3/auth/tokens", json=body)
        assert [role["name"] for role in answer.json()["token"]["roles"]] == ["service"]
        self.user_id = answer.json()["token"]["user"]["id"]
        return answer.headers["x-subject-token"]

    def ask(self, method: str, service: str, path: str, json: Any = None, *, grant: str = "") -> httpx.Response:
        version = "placement 1.39" if service == "placement" else "compute 2.90"
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": version}
        if grant:
            headers[HEADER] = grant
        return self.http.request(method, self.cluster.url(service) + path, json=json, headers=headers)

    def port_of(self, server: str) -> dict[str, Any]:
        (port,) = self.admin.ok("GET", "network", f"/ports?device_id={server}")["ports"]
        return dict(port)

    def bus(self, work: Callable[[AmqpBus], Awaitable[Any]], user: str | None = None) -> Any:
        """Do something with the host's connection to the broker."""

        async def run() -> Any:
            bus = AmqpBus(self.url if user is None else user, USERS)
            await bus.open()
            try:
                return await work(bus)
            finally:
                await bus.close()

        return asyncio.run(run())

    def builds(self) -> list[ServerBuild]:
        return self.bus(lambda bus: bus.client(ConductorAPI).servers_on_host(CTX, MINE))

    def grant(self) -> str:
        return next(build.grant for build in self.builds() if build.server.uuid == self.mine)


@pytest.fixture(scope="module")
def taken(engine_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """On a broker of its own: on that of the other tests, the processes of their cloud take its messages."""
    folder: Path = tmp_path_factory.mktemp("taken")
    agents = {"compute": [OTHERS, MINE], "network-agent": [OTHERS, MINE], "metadata": 1}
    settings = {"bus": {"host_users": USERS}}
    with (
        RabbitMQ(engine_folder / "taken") as broker,
        Cluster(folder, agents, settings=settings, engines=engines(broker, folder)) as cluster,
    ):
        yield Taken(cluster)


@pytest.fixture
def unharmed(taken: Taken) -> Iterator[None]:
    """Nothing of the other host's server may have changed."""

    def look() -> list[Any]:
        server = taken.admin.server(taken.theirs)
        return [server["status"], server["OS-EXT-SRV-ATTR:host"], server["addresses"], taken.port_of(taken.theirs),
                taken.admin.ok("GET", "compute", f"/servers/{taken.theirs}/os-instance-actions")]  # fmt: skip

    before = look()
    assert before[0] == "ACTIVE"
    yield
    assert look() == before


@pytest.mark.usefixtures("unharmed")
def test_images(taken: Taken) -> None:
    grant, theirs, mine = taken.grant(), taken.images[OTHERS], taken.images[MINE]
    assert taken.ask("GET", "image", f"/v2/images/{mine}/file", grant=grant).status_code == 200
    for image, given in ((theirs, grant), (theirs, ""), (mine, "")):
        for path in (f"/v2/images/{image}/file", f"/v2/images/{image}", f"/v2/images/{image}/members"):
            assert taken.ask("GET", "image", path, grant=given).status_code in REFUSED, path
        assert taken.ask("DELETE", "image", f"/v2/images/{image}", grant=given).status_code in REFUSED
    assert taken.ask("GET", "image", "/v2/images", grant=grant).status_code in REFUSED


@pytest.mark.usefixtures("unharmed")
def test_ports(taken: Taken) -> None:
    grant, port = taken.grant(), taken.port_of(taken.theirs)
    own = taken.port_of(taken.mine)
    assert taken.ask("GET", "network", f"/v2.0/ports/{own['id']}", grant=grant).status_code == 200
    bind = {"port": {"binding:host_id": MINE, "device_id": taken.mine, "device_owner": "compute:nova"}}
    for given in (grant, ""):
        for method, body in (("GET", None), ("PUT", bind), ("PUT", {"port": {"name": "x"}}), ("DELETE", None)):
            answer = taken.ask(method, "network", f"/v2.0/ports/{port['id']}", body, grant=given)
            assert answer.status_code in REFUSED, (method, answer.text)
        listed = taken.ask("GET", "network", "/v2.0/ports", grant=given)
        assert listed.status_code in REFUSED or [p["id"] for p in listed.json()["ports"]] == [own["id"]]
        made = {"network_id": taken.networks[OTHERS], "project_id": taken.projects[OTHERS], "device_id": taken.theirs,
                "device_owner": "compute:nova", "binding:host_id": MINE}  # fmt: skip
        assert taken.ask("POST", "network", "/v2.0/ports", {"port": made}, grant=given).status_code in (400, *REFUSED)
        assert (
            taken.ask("GET", "network", f"/v2.0/networks/{taken.networks[OTHERS]}", grant=given).status_code in REFUSED
        )


@pytest.mark.usefixtures("unharmed")
def test_everything_else_by_rest(taken: Taken) -> None:
    event = {"name": "network-vif-unplugged", "server_uuid": taken.theirs, "status": "completed", "tag": "x"}
    provider = {"name": "x", "uuid": "11111111-1111-4111-8111-111111111111"}
    asked: list[tuple[str, str, str, Any]] = [
        ("GET", "compute", f"/v2.1/servers/{taken.theirs}", None),
        ("GET", "compute", f"/v2.1/servers/{taken.mine}", None),
        ("GET", "compute", "/v2.1/servers/detail?all_tenants=1", None),
        ("DELETE", "compute", f"/v2.1/servers/{taken.theirs}", None),
        ("POST", "compute", f"/v2.1/servers/{taken.theirs}/action", {"os-stop": None}),
        ("POST", "compute", f"/v2.1/servers/{taken.theirs}/action", {"os-getConsoleOutput": {}}),
        ("POST", "compute", "/v2.1/os-server-external-events", {"events": [event]}),
        ("GET", "compute", "/v2.1/os-services", None),
        ("GET", "compute", "/v2.1/os-hypervisors/detail", None),
        ("GET", "placement", f"/allocations/{taken.theirs}", None),
        ("DELETE", "placement", f"/allocations/{taken.theirs}", None),
        ("GET", "placement", "/resource_providers", None),
        ("POST", "placement", "/resource_providers", provider),
        ("GET", "identity", "/v3/users", None),
        (
            "POST",
            "identity",
            f"/v3/users/{taken.user_id}/password",
            {"user": {"original_password": PASSWORD, "password": "x"}},
        ),
        ("PATCH", "identity", f"/v3/users/{taken.user_id}", {"user": {"password": "x"}}),
        ("GET", "identity", "/v3/projects", None),
        ("GET", "identity", "/v3/credentials", None),
        ("GET", "identity", "/v3/role_assignments", None),
        ("POST", "identity", "/v3/users", {"user": {"name": "x", "password": "x"}}),
        ("GET", "ops", "/verify", None),
    ]
    for given in ("", taken.grant()):
        for method, service, path, body in asked:
            answer = taken.ask(method, service, path, body, grant=given)
            nothing = answer.status_code == 200 and not next(iter(answer.json().values()))
            locked = answer.status_code == 400 and "disallowing password changes" in answer.text
            assert answer.status_code in REFUSED or nothing or locked, (method, path, answer.status_code, answer.text)


@pytest.mark.usefixtures("unharmed")
def test_metadata(taken: Taken) -> None:
    def asks(server: str, project: str, host: str, secret: str) -> int:
        headers = {
            INSTANCE_ID: server,
            TENANT_ID: project,
            HOST: host,
            SIGNATURE: sign_instance(secret, server, project),
        }
        url = taken.cluster.url("metadata") + "/openstack/latest/user_data"
        return taken.http.get(url, headers={name: value for name, value in headers.items() if value}).status_code

    own, theirs = host_secret(PASSWORD, MINE), taken.projects[OTHERS]
    assert asks(taken.theirs, theirs, OTHERS, host_secret(PASSWORD, OTHERS)) == 200
    for host in (MINE, OTHERS, ""):
        assert asks(taken.theirs, theirs, host, own) in REFUSED, host


@pytest.mark.usefixtures("unharmed")
def test_the_bus(taken: Taken) -> None:
    found = taken.port_of(taken.theirs)
    port, address = found["id"], found["fixed_ips"][0]["ip_address"]
    builds = taken.builds()
    assert {build.server.uuid for build in builds} == {taken.mine}
    change = ServerChange(expect_host=OTHERS, vm_state="error", task_state=None)
    lie = BuildOutcome(server_uuid=taken.theirs, request_id="r", attempt=1, host=OTHERS, ok=False)
    refused: list[Callable[[AmqpBus], Awaitable[Any]]] = [
        lambda bus: bus.client(ConductorAPI).servers_on_host(CTX, OTHERS),
        lambda bus: bus.client(ConductorAPI).update_server(CTX, taken.theirs, change),
        lambda bus: bus.client(ConductorAPI).build_ended(CTX, lie),
        lambda bus: bus.client(ConductorAPI).power_state_seen(CTX, OTHERS, taken.theirs, 4),
        lambda bus: bus.client(ConductorAPI).undelivered(CTX),
        lambda bus: bus.client(NetworkPluginAPI).host_model(CTX, OTHERS),
        lambda bus: bus.client(NetworkPluginAPI).host_changes(CTX, OTHERS, ("networks",), Held()),
        lambda bus: bus.client(NetworkPluginAPI).port_down(CTX, OTHERS, [port]),
        lambda bus: bus.client(NetworkPluginAPI).metadata_caller(CTX, OTHERS, taken.networks[OTHERS], "10.61.0.1"),
    ]
    for attempt in refused:
        with pytest.raises(errors.Forbidden, match=NAMED_REFUSED):
            taken.bus(attempt)
    closed: list[Callable[[AmqpBus], Awaitable[Any]]] = [
        lambda bus: bus.client(ComputeAPI, host=OTHERS).console_output(CTX, taken.theirs, 1000),
        lambda bus: bus.client(NetworkAgentAPI, host=OTHERS).leftovers(CTX),
        lambda bus: bus.client(SchedulerAPI).claim(CTX, taken.theirs, MINE, builds[0].spec, "p", "u"),
    ]
    for attempt in closed:  # by the broker, which closes the connection
        with pytest.raises(errors.BusError):
            taken.bus(attempt)
    idle: list[Callable[[AmqpBus], Awaitable[Any]]] = [
        lambda bus: bus.client(ConductorAPI).server_deleted(CTX, taken.theirs, "r"),
        lambda bus: bus.client(ConductorAPI).update_server(
            CTX, taken.theirs, ServerChange(expect_host=MINE, vm_state="error")
        ),
        lambda bus: bus.client(NetworkPluginAPI).port_down(CTX, MINE, [port]),
        lambda bus: bus.client(NetworkPluginAPI).metadata_caller(CTX, MINE, taken.networks[OTHERS], address),
        lambda bus: bus.client(ConductorAPI).power_state_seen(CTX, MINE, taken.theirs, 4),
    ]
    for attempt in idle:
        assert not taken.bus(attempt)


def test_a_host_that_lies_of_its_server_gets_no_more(taken: Taken) -> None:
    """A host's report about its server's interfaces gives it no access to those of others."""
    free = taken.admin.ok("POST", "network", "/ports", {"port": {"network_id": taken.networks[MINE]}})["port"]["id"]
    vifs = [
        Vif(
            port_id=free,
            network_id=taken.networks[OTHERS],
            network_name="x",
            mac_address="fa:16:3e:00:00:01",
            created=created,
        )
        for created in (True, False)
    ]
    change = ServerChange(expect_host=MINE, network_info=vifs)
    assert taken.bus(lambda bus: bus.client(ConductorAPI).update_server(CTX, taken.mine, change))
    grant = taken.grant()
    for method in ("GET", "DELETE"):
        assert taken.ask(method, "network", f"/v2.0/ports/{free}", grant=grant).status_code in REFUSED
    assert taken.ask("GET", "network", f"/v2.0/networks/{taken.networks[OTHERS]}", grant=grant).status_code in REFUSED


def test_queues(taken: Taken) -> None:
    async def consume(queue: str) -> None:
        async with channel(taken.url) as broker:
            await broker.basic_consume(queue, _ignore)

    queues = (
        "kilonova.compute." + OTHERS,
        "kilonova.network_agent." + OTHERS,
        "kilonova.conductor",
        "kilonova.network",
    )
    for queue in queues:
        with pytest.raises(ChannelAccessRefused):
            asyncio.run(consume(queue))


def test_its_own_servers_live_and_end(taken: Taken) -> None:
    """With no more than that account and user a host does all that it must."""
    server = taken.admin.launch(taken.images[MINE], [{"uuid": taken.networks[MINE]}], availability_zone=f"nova:{MINE}")
    taken.admin.wait(server, "ACTIVE")
    for action, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        taken.admin.ok("POST", "compute", f"/servers/{server}/action", {action: None})
        taken.admin.wait(server, status)
    user_port = taken.admin.ok("POST", "network", "/ports", {"port": {"network_id": taken.networks[MINE]}})["port"][
        "id"
    ]
    second = taken.admin.launch(taken.images[MINE], [{"port": user_port}], availability_zone=f"nova:{MINE}")
    taken.admin.wait(second, "ACTIVE")
    for one in (server, second):
        taken.admin.ok("DELETE", "compute", f"/servers/{one}")
        taken.admin.wait_gone(one)
    left = taken.admin.ok("GET", "network", f"/ports/{user_port}")["port"]
    assert (left["device_id"], left["binding:host_id"]) == ("", "")
    assert taken.admin.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []


async def _ignore(_message: object) -> None:
    return None
