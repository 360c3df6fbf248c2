"""Notifications about servers, as a consumer outside of a cloud reads them from a real broker."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.testing.engines import RabbitMQ
from tests.process.cloud.consumer import QUEUES, Consumer
from tests.process.cloud.harness import CloudProcess

SECRETS = {
    "user_data": "user-data-words",
    "file": "file-words",
    "password": "Adm1n-words",
    "key": "AAAAC3NzaC1lZDI1NTE5",
}
FAILING = "doomed-*"


@pytest.fixture(scope="module")
def consumer(rabbitmq: RabbitMQ) -> Consumer:
    return Consumer(rabbitmq.url)


@pytest.fixture(scope="module")
def cloud(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    running = CloudProcess(tmp_path_factory.mktemp("notified"), extra=["--fake-hosts", "2"])
    running.start(
        KILONOVA_AGENT_HOST="h", KILONOVA_NOTIFICATIONS_FORMAT="both", KILONOVA_NOTIFICATIONS_URL=rabbitmq.url,
        KILONOVA_DRIVER_FAKE=json.dumps({"fail": {"define": FAILING, "shutdown": "unwilling"}}),
    )  # fmt: skip
    yield running
    running.stop()


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message["event_type"] for message in messages]


def test_a_life(cloud, consumer):
    demo = cloud.api("demo")
    image, network = demo.image("plain"), demo.network()
    public = f"ssh-ed25519 {SECRETS['key']}AAAAIGqvYD5mTnBT1EMoYrXCVFBlgCd9R3sFqfBKwXoRTZbI a@b"
    demo.ok("POST", "compute", "/os-keypairs", {"keypair": {"name": "mine", "public_key": public, "type": "ssh"}})
    old = cloud.api("demo", version="2.53")
    server = old.launch(
        image, [{"uuid": network}], name="notified", key_name="mine", metadata={"role": "web"}, adminPass=SECRETS["password"],
        user_data=base64.b64encode(SECRETS["user_data"].encode()).decode(),
        personality=[{"path": "/etc/words", "contents": base64.b64encode(SECRETS["file"].encode()).decode()}],
    )  # fmt: skip
    demo.wait(server, "ACTIVE")
    for action, status in (
        ("os-stop", "SHUTOFF"), ("os-start", "ACTIVE"), ("reboot", "ACTIVE"), ("pause", "PAUSED"), ("unpause", "ACTIVE"),
        ("suspend", "SUSPENDED"), ("resume", "ACTIVE"),
    ):  # fmt: skip
        body = {action: {"type": "HARD"} if action == "reboot" else None}
        demo.ok("POST", "compute", f"/servers/{server}/action", body)
        demo.wait(server, status)
    host = cloud.api().server(server)["OS-EXT-SRV-ATTR:host"]
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait_gone(server)
    consumer.until(server, "delete.end")

    names = [
        "create.start", "create.end", "power_off.start", "power_off.end", "power_on.start", "power_on.end",
        "reboot.start", "reboot.end", "pause.start", "pause.end", "unpause.start", "unpause.end", "suspend.start", "suspend.end",
        "resume.start", "resume.end", "delete.start", "shutdown.start", "shutdown.end", "delete.end",
    ]  # fmt: skip
    legacy, versioned = consumer.events(server, QUEUES[0]), consumer.events(server, QUEUES[2])
    assert types(legacy) == [f"compute.instance.{name}" for name in names]
    assert types(versioned) == [f"instance.{name}" for name in names]
    assert not consumer.events(server, QUEUES[1]) + consumer.events(server, QUEUES[3])
    assert {message["publisher_id"] for message in legacy} == {f"compute.{host}"}
    assert {message["publisher_id"] for message in versioned} == {f"nova-compute:{host}"}
    assert {message["priority"] for message in legacy + versioned} == {"INFO"}
    assert len({message["message_id"] for message in legacy + versioned}) == len(legacy + versioned)
    stamps = [message["timestamp"] for message in legacy]
    assert stamps == sorted(stamps)
    user = demo.ok("GET", "identity", "/auth/tokens", headers={"X-Subject-Token": demo.token})["token"]["user"]["id"]
    for message in legacy + versioned:
        assert message["_context_project_id"] == demo.project_id
        assert message["_context_user_id"] == user
        assert message["_context_request_id"].startswith("req-")
    check_legacy(legacy, server, image, demo.project_id)
    check_versioned(versioned, server, image, demo.project_id)
    consumed = consumer.raw.decode()
    for secret in (*SECRETS.values(), base64.b64encode(SECRETS["user_data"].encode()).decode(), demo.token, old.token):
        assert secret not in consumed


def check_legacy(messages: list[dict[str, Any]], server: str, image: str, project: str) -> None:
    started, created = messages[0]["payload"], messages[1]["payload"]
    assert started["state"] == "building"
    assert (created["state"], created["state_description"], created["message"]) == ("active", "", "Success")
    assert created["instance_id"] == server
    assert created["tenant_id"] == project
    assert created["display_name"] == created["hostname"] == "notified"
    assert (created["vcpus"], created["memory_mb"], created["disk_gb"]) == (1, 512, 1)
    assert created["instance_type"] == "m1.tiny"
    assert created["image_meta"] == {"base_image_ref": image}
    assert created["image_ref_url"].endswith(f"/images/{image}")
    assert created["metadata"] == {"role": "web"}
    assert created["launched_at"]
    (address,) = created["fixed_ips"]
    assert (address["type"], address["version"], address["label"]) == ("fixed", 4, "net")
    ended = messages[-1]["payload"]
    assert ended["state"] == "deleted"
    assert ended["deleted_at"]
    assert ended["deleted_at"] == ended["terminated_at"]
    before = {m["event_type"].removeprefix("compute.instance."): m["payload"] for m in messages}
    assert (before["power_off.start"]["state"], before["power_off.start"]["state_description"]) == (
        "active",
        "powering-off",
    )
    assert (before["power_off.end"]["state"], before["power_off.end"]["state_description"]) == ("stopped", "")
    assert before["delete.start"]["state_description"] == "deleting"


def check_versioned(messages: list[dict[str, Any]], server: str, image: str, project: str) -> None:
    for message in messages:
        payload = message["payload"]
        creating = message["event_type"].startswith("instance.create.")
        assert payload["nova_object.name"] == ("InstanceCreatePayload" if creating else "InstanceActionPayload")
        assert payload["nova_object.namespace"] == "nova"
        data = payload["nova_object.data"]
        assert (data["uuid"], data["tenant_id"], data["image_uuid"], data["fault"]) == (server, project, image, None)
        flavor = data["flavor"]
        assert flavor["nova_object.name"] == "FlavorPayload"
        assert (flavor["nova_object.data"]["name"], flavor["nova_object.data"]["memory_mb"]) == ("m1.tiny", 512)
    created = messages[1]["payload"]["nova_object.data"]
    assert (created["state"], created["power_state"], created["task_state"]) == ("active", "running", None)
    assert created["instance_name"].startswith("instance-")
    (address,) = created["ip_addresses"]
    assert address["nova_object.name"] == "IpPayload"
    assert address["nova_object.data"]["version"] == 4
    (key,) = created["keypairs"]
    assert (key["nova_object.data"]["name"], key["nova_object.data"]["public_key"]) == ("mine", None)
    stopped = messages[3]["payload"]["nova_object.data"]
    assert (stopped["state"], stopped["power_state"]) == ("stopped", "shutdown")


def test_a_launch_that_fails_on_each_host(cloud, consumer):
    demo = cloud.api("demo")
    server = demo.launch(demo.image("plain"), name="doomed-1")
    demo.wait(server, "ERROR")
    demo.ok("DELETE", "compute", f"/servers/{server}")
    demo.wait_gone(server)
    consumer.until(server, "delete.end")
    started, failed = consumer.events(server, QUEUES[0]), consumer.events(server, QUEUES[1])
    assert types(started) == [
        *["compute.instance.create.start"] * 2, "compute.instance.delete.start", "compute.instance.delete.end"
    ]  # fmt: skip
    hosts = [message["publisher_id"] for message in started[:2]]
    assert set(hosts) == {"compute.h-1", "compute.h-2"}
    assert [message["publisher_id"] for message in failed][:2] == hosts
    assert set(types(failed)) == {"compute.instance.create.error"}
    assert {message["priority"] for message in failed} == {"ERROR"}
    for message in failed:
        assert message["payload"]["code"] == 500
        assert message["payload"]["message"]
    faults = [m["payload"]["nova_object.data"]["fault"] for m in consumer.events(server, QUEUES[3])]
    assert {fault["nova_object.name"] for fault in faults} == {"ExceptionPayload"}
    assert [fault["nova_object.data"]["exception_message"] for fault in faults] == [
        message["payload"]["message"] for message in failed
    ]
    assert b"fails by its options" not in consumer.raw  # the hypervisor's own words are for admins


def test_no_host_fits(cloud, consumer):
    admin, demo = cloud.api(), cloud.api("demo")
    flavor = {"name": "huge", "vcpus": 1, "ram": 10**6, "disk": 1}
    huge = admin.ok("POST", "compute", "/flavors", {"flavor": flavor})["flavor"]["id"]
    admin.ok("PUT", "compute", f"/os-quota-sets/{demo.project_id}", {"quota_set": {"ram": -1}})
    server = demo.launch(demo.image("plain"), flavorRef=huge)
    demo.wait(server, "ERROR")
    consumer.until(server, "create.error")
    (failed,) = consumer.events(server, QUEUES[1])
    assert failed["publisher_id"].startswith("conductor.")
    assert failed["payload"]["state"] == "error"
    assert failed["payload"]["message"].startswith("No valid host")
    assert not consumer.events(server, QUEUES[0])


def test_an_action_that_fails(cloud, consumer):
    demo = cloud.api("demo")
    server = demo.launch(demo.image("plain"), name="unwilling")
    demo.wait(server, "ACTIVE")
    demo.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    consumer.until(server, "power_off.error")
    assert types(consumer.events(server, QUEUES[0]))[-1] == "compute.instance.power_off.start"
    (failed,) = consumer.events(server, QUEUES[1])
    assert (failed["payload"]["state"], failed["payload"]["state_description"]) == ("active", "")
