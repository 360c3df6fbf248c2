"""The life of servers and of the cloud itself, as users and operators see it, on the fake hypervisor."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.steps import STEPS
from tests.process.cloud.harness import PASSWORD, Api, CloudProcess, free_port

NOBODY = 65534
HOST = "OS-EXT-SRV-ATTR:host"
Launch = Callable[..., list[dict[str, Any]]]


def kilonova(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    given = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | env
    command = [str(Path(sys.executable).parent / "kilonova"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=given, check=False)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    running = CloudProcess(tmp_path_factory.mktemp("cloud"), extra=["--fake-hosts", "2"]).start(KILONOVA_AGENT_HOST="h")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def admin(cloud: CloudProcess) -> Api:
    return cloud.api()


@pytest.fixture(scope="module")
def image(admin: Api) -> str:
    return admin.image("plain", visibility="public")


@pytest.fixture(scope="module")
def network(admin: Api) -> str:
    return admin.network("net", "10.61.0.0/24")


@pytest.fixture
def launch(cloud: CloudProcess, admin: Api, image: str) -> Iterator[Launch]:
    """Launch with these fields and wait: all servers of the request, as their owner, the administrator, sees them. They
    are deleted afterwards, and nothing is left of them."""

    def launch(
        hints: dict[str, Any] | None = None, *statuses: str, networks: Any = "none", **fields: Any
    ) -> list[dict[str, Any]]:
        plain = {"name": "vm", "imageRef": image, "flavorRef": admin.flavor_id(), "networks": networks}
        body: dict[str, Any] = {"server": plain | {"return_reservation_id": True} | fields}
        if hints is not None:
            body["os:scheduler_hints"] = hints
        reservation = admin.ok("POST", "compute", "/servers", body)["reservation_id"]
        found = admin.ok("GET", "compute", f"/servers?reservation_id={reservation}&all_tenants=1")["servers"]
        return [admin.wait(s["id"], *(statuses or ("ACTIVE",))) for s in sorted(found, key=lambda s: s["name"])]

    yield launch
    for server in admin.ok("GET", "compute", "/servers?all_tenants=1")["servers"]:
        admin.ok("DELETE", "compute", f"/servers/{server['id']}")
        admin.wait_gone(server["id"])
    assert cloud.verify() == []


# what a launch can ask for


def test_five_in_one_request(launch: Launch) -> None:
    servers = launch(name="many", min_count=5, max_count=5)
    assert [server["name"] for server in servers] == [f"many-{n}" for n in range(1, 6)]
    assert {server["OS-EXT-SRV-ATTR:launch_index"] for server in servers} == set(range(5))
    assert len({server["OS-EXT-SRV-ATTR:reservation_id"] for server in servers}) == 1
    assert {server[HOST] for server in servers} == {"h-1", "h-2"}  # spread


def group(admin: Api, policy: str) -> str:
    body = {"server_group": {"name": policy, "policy": policy}}
    return str(admin.ok("POST", "compute", "/os-server-groups", body)["server_group"]["id"])


def test_an_affinity_group_stays_together(admin: Api, launch: Launch) -> None:
    wanted = group(admin, "affinity")
    servers = launch({"group": wanted}, name="near", min_count=3) + launch({"group": wanted}, name="late")
    assert len({server[HOST] for server in servers}) == 1
    members = admin.ok("GET", "compute", f"/os-server-groups/{wanted}")["server_group"]["members"]
    assert sorted(members) == sorted(server["id"] for server in servers)


def test_an_anti_affinity_group_keeps_apart(admin: Api, launch: Launch) -> None:
    wanted = group(admin, "anti-affinity")
    servers = launch({"group": wanted}, name="far", min_count=2)
    assert {server[HOST] for server in servers} == {"h-1", "h-2"}
    (third,) = launch({"group": wanted}, "ERROR", name="third")
    assert "ServerGroupAntiAffinityFilter removed 2" in third["fault"]["message"]


def test_a_host_by_name(cloud: CloudProcess, admin: Api, launch: Launch) -> None:
    for host in ("h-2", "h-1", "h-2"):
        (server,) = launch(availability_zone=f"nova:{host}")
        assert (server[HOST], server["OS-EXT-AZ:availability_zone"]) == (host, "nova")
    (server,) = launch(host="h-1")
    assert server[HOST] == "h-1"
    plain = {"name": "x", "imageRef": server["image"]["id"], "flavorRef": "1", "networks": "none"}
    body = {"server": plain | {"availability_zone": "nova:h-1"}}
    assert cloud.api("demo")("POST", "compute", "/servers", body).status_code == 403
    body = {"server": plain | {"availability_zone": "nova:nowhere"}}
    assert admin("POST", "compute", "/servers", body).status_code == 400


def test_hints_of_same_and_different_host(launch: Launch) -> None:
    (first,) = launch(name="first")
    (same,) = launch({"same_host": [first["id"]]}, name="same")
    (other,) = launch({"different_host": [first["id"], same["id"]]}, name="other")
    assert same[HOST] == first[HOST] != other[HOST]
    (none,) = launch({"different_host": [first["id"], other["id"]]}, "ERROR", name="none")
    assert none["fault"]["message"] == "No valid host was found. 2 hosts: DifferentHostFilter removed 2."


def test_networks_in_every_form(admin: Api, launch: Launch, network: str) -> None:
    (server,) = launch(networks="none")
    assert server["addresses"] == {}
    (server,) = launch(networks="auto")
    assert list(server["addresses"]) == ["net"]
    (server,) = launch(networks=[{"uuid": network, "fixed_ip": "10.61.0.99"}])
    assert [a["addr"] for a in server["addresses"]["net"]] == ["10.61.0.99"]
    port = admin.ok("POST", "network", "/ports", {"port": {"network_id": network, "name": "own"}})["port"]
    (server,) = launch(networks=[{"port": port["id"]}, {"uuid": network}])
    addresses = [a["addr"] for a in server["addresses"]["net"]]
    assert len(addresses) == 2
    assert port["fixed_ips"][0]["ip_address"] in addresses
    admin.ok("DELETE", "compute", f"/servers/{server['id']}")
    admin.wait_gone(server["id"])
    kept = admin.ok("GET", "network", f"/ports/{port['id']}")["port"]  # the user's port outlives the server
    assert (kept["device_id"], kept["device_owner"]) == ("", "")
    admin.ok("DELETE", "network", f"/ports/{port['id']}")


def test_what_a_server_was_given_is_shown(admin: Api, launch: Launch) -> None:
    fields = {"config_drive": True, "metadata": {"role": "web", "weight": "7"}, "tags": ["one", "two"]}
    (server,) = launch(name="given", description="a text", **fields)
    assert server["config_drive"] == "True"
    assert server["metadata"] == fields["metadata"]
    assert sorted(server["tags"]) == fields["tags"]
    assert server["description"] == "a text"
    found = admin.ok("GET", "compute", "/servers?tags=one,two")["servers"]
    assert [s["id"] for s in found] == [server["id"]]
    (plain,) = launch(name="plain")
    assert plain["config_drive"] == ""


# what is recorded about it


def test_every_step_is_listed_in_order(cloud: CloudProcess, admin: Api, launch: Launch, network: str) -> None:
    (server,) = launch(networks=[{"uuid": network}])
    base = f"/servers/{server['id']}/os-instance-actions"
    (action,) = admin.ok("GET", "compute", base)["instanceActions"]
    assert (action["action"], action["message"]) == ("create", None)
    detail = admin.ok("GET", "compute", f"{base}/{action['request_id']}")["instanceAction"]
    listed = {event["event"] for event in detail["events"]}
    assert listed == {f"{step.component}_{step.name}" for step in STEPS}
    assert {event["result"] for event in detail["events"]} == {"Success"}
    traced = kilonova("trace", "--state", str(cloud.state), "-f", "json", server["id"])
    assert traced.returncode == 0, traced.stderr
    (timeline,) = json.loads(traced.stdout)["actions"]
    assert [step["step"] for step in timeline["steps"]] == [step.name for step in STEPS]
    assert all(step["result"] == "Success" and step["duration_ms"] >= 0 for step in timeline["steps"])
    offsets = [step["offset_ms"] for step in timeline["steps"]]
    assert offsets == sorted(offsets)
    assert 0 < timeline["total_ms"] < 60_000
    assert len(set(offsets)) > 10  # finer than seconds
    shown = kilonova("trace", "--state", str(cloud.state), server["id"]).stdout
    assert all(step.name in shown for step in STEPS)


def test_a_life(cloud: CloudProcess, admin: Api, launch: Launch, network: str) -> None:
    (server,) = launch(name="life", networks=[{"uuid": network}])
    path = f"/servers/{server['id']}"

    def act(body: dict[str, Any], *statuses: str) -> dict[str, Any]:
        admin.ok("POST", "compute", f"{path}/action", body)
        return admin.wait(server["id"], *statuses)

    assert act({"os-stop": None}, "SHUTOFF")["OS-EXT-STS:power_state"] == 4
    assert admin("POST", "compute", f"{path}/action", {"os-stop": None}).status_code == 409
    assert act({"os-start": None}, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    act({"reboot": {"type": "SOFT"}}, "ACTIVE")
    act({"reboot": {"type": "HARD"}}, "ACTIVE")
    output = admin.ok("POST", "compute", f"{path}/action", {"os-getConsoleOutput": {"length": 1}})["output"]
    assert output.strip() == "life login:"
    admin.ok("PUT", "compute", path, {"server": {"name": "renamed"}})
    assert admin.server(server["id"])["name"] == "renamed"
    done = [a["action"] for a in admin.ok("GET", "compute", f"{path}/os-instance-actions")["instanceActions"]]
    assert done == ["reboot", "reboot", "start", "stop", "create"]
    assert cloud.verify() == []
    admin.ok("DELETE", "compute", path)
    admin.wait_gone(server["id"])
    ports = admin.ok("GET", "network", f"/ports?device_id={server['id']}")["ports"]
    assert ports == []


# what goes wrong


def test_a_guest_that_dies_by_itself(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.start(KILONOVA_AGENT_HOST="h")
    api = scratch_cloud.api("demo")
    server = api.launch(api.image("plain"), "none")
    api.wait(server, "ACTIVE")
    scratch_cloud.kill()
    log = scratch_cloud.state / "fake-hypervisor.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    last = next(e for e in reversed(entries) if e["uuid"] == server and e.get("guest"))
    last["guest"][2] = 4  # shut down, without an event
    with log.open("a") as file:
        file.write(json.dumps(last) + "\n")
    # by default the agent would take it for a host that was rebooted, and start the guest again
    scratch_cloud.start(KILONOVA_AGENT_HOST="h", KILONOVA_AGENT_RESUME_GUESTS_ON_BOOT="false")
    found = api.wait(server, "SHUTOFF")
    assert found["OS-EXT-STS:power_state"] == 4
    assert scratch_cloud.verify() == []


@pytest.fixture(scope="module")
def failing_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """Host h-1 can start no guest, and no host can define a guest that is called doomed."""
    running = CloudProcess(tmp_path_factory.mktemp("failing"), extra=["--fake-hosts", "2"])
    rules = json.dumps({"fail": {"start": "h-1", "define": "doomed"}})
    yield running.start(KILONOVA_AGENT_HOST="h", KILONOVA_DRIVER_FAKE=rules)
    running.stop()


def test_a_failing_host_hands_over_to_the_next(failing_cloud: CloudProcess) -> None:
    admin = failing_cloud.api()
    network, image = admin.network(), admin.image("plain")
    admin.launch(image, [{"uuid": network}], name="moved", min_count=4)
    servers = admin.ok("GET", "compute", "/servers")["servers"]
    moved = 0
    for server in servers:
        found = admin.wait(server["id"], "ACTIVE")
        assert found[HOST] == "h-2"
        (action,) = admin.ok("GET", "compute", f"/servers/{server['id']}/os-instance-actions")["instanceActions"]
        path = f"/servers/{server['id']}/os-instance-actions/{action['request_id']}"
        events = admin.ok("GET", "compute", path)["instanceAction"]["events"]
        failed = [event for event in events if event["result"] == "Error"]
        assert {(e["event"], e["host"]) for e in failed} <= {("compute_start", "h-1")}
        moved += bool(failed)
        ports = admin.ok("GET", "network", f"/ports?device_id={server['id']}")["ports"]
        assert [port["binding:host_id"] for port in ports] == ["h-2"]
    assert len(servers) == 4
    assert moved == 2  # they had been spread over both
    assert failing_cloud.verify() == []


def test_all_hosts_fail(failing_cloud: CloudProcess) -> None:
    admin, demo = failing_cloud.api(), failing_cloud.api("demo")
    server = demo.launch(demo.image("plain"), [{"uuid": demo.network()}], name="doomed")
    fault = demo.wait(server, "ERROR")["fault"]
    details = admin.server(server)["fault"]["details"]
    for host in ("h-1", "h-2"):
        assert f"define of {server} on host {host}: the fake hypervisor fails by its options" in details
        assert host not in fault["message"]
    assert fault["message"].endswith("Build failed on 2 hosts: define: the hypervisor refused the guest's definition")
    assert demo.ok("GET", "network", f"/ports?device_id={server}")["ports"] == []
    assert failing_cloud.verify() == []
    assert "fails by its options" in kilonova("trace", "--state", str(failing_cloud.state), server).stdout
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait_gone(server)
    assert failing_cloud.verify() == []


# the cloud itself


def test_twice_in_one_state_directory(cloud: CloudProcess) -> None:
    again = kilonova("up", "--state", str(cloud.state), "--port", str(free_port()), "--driver", "fake")
    assert again.returncode == 2
    assert f"a cloud runs from {cloud.state} already (pid " in again.stderr
    assert "Traceback" not in again.stderr


def test_a_port_in_use(cloud: CloudProcess, tmp_path: Path) -> None:
    state = tmp_path / "second"
    for flags in ([], ["--detach"]):
        words = ["up", "--state", str(state), "--port", str(cloud.port), "--driver", "fake", *flags]
        second = kilonova(*words)
        assert second.returncode == 2
        assert f"can't listen on 127.0.0.1 port {cloud.port}: Address already in use" in second.stderr
        assert "choose others with --listen and --port" in second.stderr
    assert cloud.api().ok("GET", "compute", "/os-services")


def test_in_the_background(tmp_path: Path) -> None:
    state, port = tmp_path / "state", free_port()
    words = ["--state", str(state)]
    up = kilonova("up", *words, "--port", str(port), "--driver", "fake", "--detach", KILONOVA_DEMO_PASSWORD=PASSWORD)
    assert up.returncode == 0, up.stderr
    assert f"identity is at http://127.0.0.1:{port}/identity/v3" in up.stdout
    api = Api(f"http://127.0.0.1:{port}", "demo")
    api.wait(api.launch(api.image("plain")), "ACTIVE")
    assert kilonova("verify", *words).returncode == 0
    down = kilonova("down", *words)
    assert (down.returncode, "guests keep running" in down.stdout) == (0, True)
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port), 2):
        pass
    assert "no cloud runs from" in kilonova("down", *words).stdout
    away = kilonova("verify", *words)
    assert away.returncode not in (0, 1)
    assert "Traceback" not in away.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_as_an_unprivileged_user() -> None:
    home = Path(tempfile.mkdtemp(prefix="kilonova-home-", dir="/var/tmp"))
    os.chown(home, NOBODY, NOBODY)
    state = home / "state"
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    wrap = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    cloud = CloudProcess(state, wrap=wrap)
    try:
        cloud.start(HOME=str(home), XDG_DATA_HOME="")
        api = cloud.api("demo")
        server = api.launch(api.image("plain"), [{"uuid": api.network()}], config_drive=True)
        api.wait(server, "ACTIVE")
        assert cloud.verify() == []
        made = [path for path in state.rglob("*") if path != cloud.log]
        assert {path.stat().st_uid for path in made} == {NOBODY}
        for secret in ("secrets.json", "fernet-keys/0"):
            assert (state / secret).stat().st_mode & 0o077 == 0, secret
    finally:
        cloud.stop()
        shutil.rmtree(home)


def test_three_hundred_hosts(scratch_cloud: CloudProcess) -> None:
    scratch_cloud.extra = ["--fake-hosts", "300"]
    scratch_cloud.start(KILONOVA_AGENT_HOST="h")
    admin = scratch_cloud.api()
    services = admin.ok("GET", "compute", "/os-services?binary=nova-compute")["services"]
    assert len(services) == 300
    assert {service["state"] for service in services} == {"up"}
    launched = admin.launch(admin.image("plain"), [{"uuid": admin.network()}], name="wide", min_count=8)
    servers = admin.ok("GET", "compute", "/servers?name=wide")["servers"]
    assert launched in [server["id"] for server in servers]
    hosts = {admin.wait(server["id"], "ACTIVE")[HOST] for server in servers}
    assert len(hosts) == 8
    assert scratch_cloud.verify() == []
