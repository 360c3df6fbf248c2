"""A server action that an installed package brings in one file: it is at the API, in the timeline, in notifications, and is
taken up after a kill, though nothing else knows of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kilonova.testing.engines import RabbitMQ
from tests.eventually import eventually
from tests.process.cloud.consumer import QUEUES, Consumer
from tests.process.cloud.harness import Api, CloudProcess, installed_package

CODE = """
import asyncio, os

import msgspec

from kilonova.compute.actions.base import Action, CutOff, Runs
from kilonova.compute.agent.runner import OperationStep
from kilonova.compute.states import Vm
from kilonova.compute.steps import Step
from kilonova.core.web.wire import Version


class Blink(OperationStep):
    async def do(self, operation):
        note("do", operation)
        await asyncio.sleep(float(os.environ["BLINK_SECONDS"]))

    async def undo(self, operation):
        note("undo", operation)


def note(what, operation):
    with open(os.environ["BLINKS"], "a") as file:
        file.write(what + " " + operation.uuid + chr(10))


class Body(msgspec.Struct, forbid_unknown_fields=True):
    times: int


def blink(name, task, **more):
    return Action(
        name=name, wire="x-" + name, rule="os_compute_api:servers:reboot", runs=Runs.HOST, vm_states=frozenset([Vm.ACTIVE]),
        task=task, ends=Vm.ACTIVE, steps=(Step("blink", "compute", 60, code="blinking:Blink"),), **more,
    )


ACTIONS = (
    blink("blink", "blinking", body=Body, event="blink"),
    blink("blink-back", "blinking-back", cut_off=CutOff.UNDO, since=Version(2, 50)),
    blink("blink-once", "blinking-once", cut_off=CutOff.FAIL, until=Version(2, 49)),
)
"""


@pytest.fixture
def plugged_in(tmp_path: Path) -> Path:
    return installed_package(
        tmp_path / "site", "blinking", CODE, "[kilonova.server_actions]\nblink = blinking:ACTIONS\n"
    )


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


def noted(plugged_in: Path, server: str) -> list[str]:
    """What was done to the server, in order."""
    lines = (plugged_in / "blinks").read_text().splitlines() if (plugged_in / "blinks").exists() else []
    return [what for what, of in map(str.split, lines) if of == server]


def ends(api: Api, server: str, action: str) -> list[tuple[str | None, list[str]]]:
    """Of each such action on the server: its message, and the results of its events."""
    path = f"/servers/{server}/os-instance-actions"
    found = [one for one in api.ok("GET", "compute", path)["instanceActions"] if one["action"] == action]
    shown = [api.ok("GET", "compute", f"{path}/{one['request_id']}")["instanceAction"] for one in found]
    return [(one["message"], [event["result"] for event in one["events"]]) for one in shown]


def test_a_plugged_in_action(scratch_cloud, plugged_in, start, rabbitmq):
    demo, consumer = start(0), Consumer(rabbitmq.url)
    server = demo.launch(demo.image("plain"))
    demo.wait(server, "ACTIVE")
    path = f"/servers/{server}/action"
    assert demo("POST", "compute", path, {"x-blink": {"times": "often"}}).status_code == 400
    assert demo("POST", "compute", path, {"x-blink": {"times": 1}}).status_code == 202
    demo.wait(server, "ACTIVE")
    assert noted(plugged_in, server) == ["do"]

    (done,) = [
        action for action in demo.ok("GET", "compute", f"/servers/{server}/os-instance-actions")["instanceActions"]
        if action["action"] == "blink"
    ]  # fmt: skip
    shown = demo.ok("GET", "compute", f"/servers/{server}/os-instance-actions/{done['request_id']}")["instanceAction"]
    assert [(event["event"], event["result"]) for event in shown["events"]] == [("compute_blink", "Success")]
    consumer.until(server, "blink.end")
    events = [message["event_type"] for message in consumer.events(server, QUEUES[2])]
    assert events[-2:] == ["instance.blink.start", "instance.blink.end"]

    scratch_cloud.stop()
    demo = start(60)
    assert demo("POST", "compute", path, {"x-blink": {"times": 1}}).status_code == 202
    eventually(lambda: noted(plugged_in, server) == ["do", "do"], "it does not begin")
    assert demo.server(server)["OS-EXT-STS:task_state"] == "blinking"
    scratch_cloud.kill()
    demo = start(0)
    demo.wait(server, "ACTIVE")
    assert noted(plugged_in, server) == ["do"] * 3  # begun, and after the kill done again
    assert scratch_cloud.verify() == []


def test_a_host_without_the_package_reports_so(scratch_cloud, start):
    """The API has the action, the host, of another release, has not: the server is not left busy for ever."""
    demo = start(60)
    server = demo.launch(demo.image("plain"))
    demo.wait(server, "ACTIVE")
    assert demo("POST", "compute", f"/servers/{server}/action", {"x-blink": {"times": 1}}).status_code == 202
    eventually(lambda: demo.server(server)["OS-EXT-STS:task_state"] == "blinking", "it does not begin")
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


def test_what_becomes_of_an_action_that_was_cut_off(scratch_cloud, plugged_in, start):
    """It is undone and has failed, or has failed as it is."""
    demo = start(60)
    image = demo.image("plain")
    back, once = demo.launch(image), demo.launch(image)
    for server, version, wire in ((back, "2.50", "x-blink-back"), (once, "2.49", "x-blink-once")):
        demo.wait(server, "ACTIVE")
        other = {"OpenStack-API-Version": f"compute {'2.49' if version == '2.50' else '2.50'}"}
        answer = demo("POST", "compute", f"/servers/{server}/action", {wire: None}, headers=other)
        assert (answer.status_code, answer.json()["itemNotFound"]["message"]) == (
            404,
            "The resource could not be found.",
        )
        asked = {"OpenStack-API-Version": f"compute {version}"}
        assert demo("POST", "compute", f"/servers/{server}/action", {wire: None}, headers=asked).status_code == 202
    eventually(lambda: noted(plugged_in, back) + noted(plugged_in, once) == ["do", "do"], "they do not begin")
    scratch_cloud.kill()
    demo = start(0)
    for server in (back, once):
        demo.wait(server, "ACTIVE")  # its guest runs
    assert (noted(plugged_in, back), noted(plugged_in, once)) == (["do", "undo"], ["do"])
    assert ends(demo, back, "blink-back") == ends(demo, once, "blink-once") == [("Error", ["Error"])]
    assert scratch_cloud.verify() == []
