"""A server action that an installed package brings in one file: it is at the API, in the timeline, in notifications, and is
taken up after a kill, though nothing else knows of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kilonova.testing.engines import RabbitMQ
from tests.cloud.consumer import QUEUES, Consumer
from tests.cloud.harness import Api, CloudProcess, installed_package

CODE = """
import asyncio, os

import msgspec

from kilonova.compute.actions.base import Action, Runs
from kilonova.compute.agent.runner import OperationStep
from kilonova.compute.states import Vm
from kilonova.compute.steps import Step


class Blink(OperationStep):
    async def do(self, operation):
        with open(os.environ["BLINKS"], "a") as file:
            file.write(operation.uuid + chr(10))
        await asyncio.sleep(float(os.environ["BLINK_SECONDS"]))


class Body(msgspec.Struct, forbid_unknown_fields=True):
    times: int


BLINK = Action(
    name="blink", wire="x-blink", rule="os_compute_api:servers:reboot", runs=Runs.HOST, body=Body,
    vm_states=frozenset([Vm.ACTIVE]), task="blinking", ends=Vm.ACTIVE, event="blink",
    steps=(Step("blink", "compute", 60, code="blinking:Blink"),),
)
"""


@pytest.fixture
def plugged_in(tmp_path: Path) -> Path:
    return installed_package(tmp_path / "site", "blinking", CODE, "[kilonova.server_actions]\nblink = blinking:BLINK\n")


@pytest.fixture
def start(scratch_cloud: CloudProcess, plugged_in: Path, rabbitmq: RabbitMQ) -> Callable[[float], Api]:
    def again(seconds: float) -> Api:
        scratch_cloud.start(
            PYTHONPATH=os.pathsep.join([str(plugged_in), os.environ.get("PYTHONPATH", "")]),
            BLINKS=str(plugged_in / "blinks"), BLINK_SECONDS=str(seconds),
            KILONOVA_NOTIFICATIONS_FORMAT="both", KILONOVA_NOTIFICATIONS_URL=rabbitmq.url,
        )  # fmt: skip
        return scratch_cloud.api("demo")

    return again


def test_a_plugged_in_action(scratch_cloud, plugged_in, start, rabbitmq):
    demo, consumer, blinks = start(0), Consumer(rabbitmq.url), plugged_in / "blinks"
    server = demo.launch(demo.image("plain"))
    demo.wait(server, "ACTIVE")
    path = f"/servers/{server}/action"
    assert demo("POST", "compute", path, {"x-blink": {"times": "often"}}).status_code == 400
    assert demo("POST", "compute", path, {"x-blink": {"times": 1}}).status_code == 202
    demo.wait(server, "ACTIVE")
    assert blinks.read_text().split() == [server]

    (done,) = [
        action for action in demo.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        if action["action"] == "blink"
    ]  # fmt: skip
    shown = demo.ok("GET", "compute", f"/servers/{server}/os-instance-actions/{done['request_id']}")["instanceAction"]
    assert [(event["event"], event["result"]) for event in shown["events"]] == [("compute_blink", "Success")]
    consumer.until(server, "blink.end")
    told = [message["event_type"] for message in consumer.events(server, QUEUES[2])]
    assert told[-2:] == ["instance.blink.start", "instance.blink.end"]

    scratch_cloud.stop()
    demo = start(60)
    assert demo("POST", "compute", path, {"x-blink": {"times": 1}}).status_code == 202
    until = time.monotonic() + 30
    while len(blinks.read_text().split()) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert demo.server(server)["OS-EXT-STS:task_state"] == "blinking"
    scratch_cloud.kill()
    demo = start(0)
    demo.wait(server, "ACTIVE")
    assert blinks.read_text().split() == [server] * 3  # begun, and after the kill done again
    assert scratch_cloud.verify() == []


def test_a_host_without_the_package_says_so(scratch_cloud, start):
    """The API has the action, the host, of another release, has not: the server is not left busy for ever."""
    demo = start(60)
    server = demo.launch(demo.image("plain"))
    demo.wait(server, "ACTIVE")
    assert demo("POST", "compute", f"/servers/{server}/action", {"x-blink": {"times": 1}}).status_code == 202
    until = time.monotonic() + 30
    while demo.server(server)["OS-EXT-STS:task_state"] != "blinking":
        assert time.monotonic() < until
    scratch_cloud.kill()
    scratch_cloud.start()
    demo = scratch_cloud.api("demo")
    demo.wait(server, "ACTIVE")
    (done,) = [
        action for action in demo.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        if action["action"] == "blink"
    ]  # fmt: skip
    assert done["message"] == "Error"
    demo.ok("POST", "compute", f"/servers/{server}/action", {"os-stop": None})
    demo.wait(server, "SHUTOFF")
