"""Nothing stays in `creating` or `deleting`: back ends that fail, are full or down; messages that are lost or come twice;
restarts."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest

from kilonova.core.context import service_context
from kilonova.core.errors import BusError
from kilonova.volume.backends.driver import Connector
from kilonova.volume.backends.errors import BackendAway
from kilonova.volume.backends.fake import FakeBackend
from kilonova.volume.backends.options import FakeBackendOptions
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.models import AgentReport, BackendReport, Order, Outcome, PoolReport
from kilonova.volume.store.services import services
from kilonova.volume.store.tasks import TASKS
from kilonova.volume.tables import messages
from tests.eventually import until
from tests.service.volume.conftest import Cloud

CTX = service_context("req-test")


async def _tasks(cloud: Cloud) -> list[Order]:
    async with cloud.database.database.reading() as connection:
        return [msgspec.json.decode(row.order, type=Order) for row in await TASKS.find(connection)]


async def _reason(cloud: Cloud, volume_id: str) -> str:
    (message,) = (await cloud.ok("GET", f"/messages?resource_uuid={volume_id}"))["messages"]
    return str(message["event_id"])


async def _age(cloud: Cloud) -> None:
    """As if the agents had been silent for long."""
    async with cloud.database.database.transaction() as tx:
        await tx.connection.execute(services.update().values(last_seen=None))


async def test_no_back_end(bare: Cloud) -> None:
    volume = await bare.volume(wanted="error")
    assert await _reason(bare, volume["id"]) == "VOLUME_VOLUME_001_003"
    assert await _tasks(bare) == []
    assert (await bare("DELETE", f"/volumes/{volume['id']}")).status == 202
    assert (await bare("GET", f"/volumes/{volume['id']}")).status == 404
    assert (await bare.ok("GET", "/limits"))["limits"]["absolute"]["totalVolumesUsed"] == 0


async def test_a_full_back_end(bare: Cloud) -> None:
    await bare.agent(total_gb=1)
    await bare.volume(size=30, wanted="error")  # more than its ratio allows
    await bare.volume(size=1)


async def test_another_back_end_is_tried(bare: Cloud) -> None:
    await bare.agent("node1", fail={"create": 1.0})
    await bare.agent("node2", fail={"create": 1.0})
    await bare.agent("node3")
    volume = await bare.volume()
    assert volume["os-vol-host-attr:host"] == "node3@fake#fake"
    await bare.agents.pop("node3").stop()
    await bare.ok("PUT", "/os-services/disable", "admin", {"host": "node3@fake", "binary": "cinder-volume"})
    failed = await bare.volume(wanted="error")
    assert await _reason(bare, failed["id"]) in ("VOLUME_VOLUME_001_003", "VOLUME_VOLUME_008_012")
    for host in ("node1", "node2"):
        assert await bare.agents[host].backends[f"{host}@fake"].driver.volumes() == []


@pytest.mark.parametrize(("operation", "status"), [("delete", "error_deleting"), ("extend", "error_extending")])
async def test_what_fails_is_said(bare: Cloud, operation: str, status: str) -> None:
    await bare.agent(fail={operation: 1.0})
    volume = await bare.volume()
    if operation == "delete":
        assert (await bare("DELETE", f"/volumes/{volume['id']}")).status == 202
    else:
        assert (await bare.act(volume["id"], "os-extend", {"new_size": 2})).status == 202
    await bare.status("volumes", volume["id"], status)
    assert (await bare.ok("GET", "/messages"))["messages"]
    assert (await bare.ok("GET", "/limits"))["limits"]["absolute"]["totalGigabytesUsed"] == 1


async def test_an_agent_takes_up_what_it_left(bare: Cloud) -> None:
    agent = await bare.agent(delay={"create": 3600})
    made = (await bare.ok("POST", "/volumes", json={"volume": {"size": 1}}))["volume"]
    await until(lambda: agent.manager.running)
    await agent.stop()  # as if it was killed: nothing is reported
    assert [order.work for order in await _tasks(bare)] == ["create_volume"]
    await bare.agent()
    await bare.status("volumes", made["id"], "available")
    assert await _tasks(bare) == []


async def test_the_volume_of_a_dead_agent_is_made_elsewhere(bare: Cloud) -> None:
    dead = await bare.agent("node1", delay={"create": 3600})
    made = (await bare.ok("POST", "/volumes", json={"volume": {"size": 1}}))["volume"]
    await until(lambda: dead.manager.running)
    await dead.stop()
    await _age(bare)
    await bare.agent("node2")
    await _watch(bare)
    volume = await bare.status("volumes", made["id"], "available")
    assert volume["os-vol-host-attr:host"] == "node2@fake#fake"
    (left,) = await _tasks(bare)
    assert (left.work, left.pool) == ("discard_volume", "node1@fake#fake")  # it waits for the agent
    await bare.agent("node1")

    async def nothing_left() -> bool:
        return not await _tasks(bare)

    await until(nothing_left)
    await bare.status("volumes", made["id"], "available")


async def _watch(cloud: Cloud) -> None:
    """One look of the conductor at what is unfinished, as if time had passed."""
    options = msgspec.structs.replace(cloud.conductor_options, watch_interval=1e-9)
    cloud.conductor.manager.deps.options = options
    await cloud.conductor.manager.watch.check()


async def test_what_a_dead_agent_was_to_delete_can_be_deleted_again(bare: Cloud) -> None:
    dead = await bare.agent("node1", delay={"delete": 3600})
    volume = await bare.volume()
    assert (await bare("DELETE", f"/volumes/{volume['id']}")).status == 202
    await until(lambda: dead.manager.running)
    await dead.stop()
    await _age(bare)
    await _watch(bare)
    await bare.status("volumes", volume["id"], "error_deleting")
    assert await _reason(bare, volume["id"]) == "VOLUME_VOLUME_008_002"
    await bare.agent("node1")
    assert (await bare("DELETE", f"/volumes/{volume['id']}")).status == 202
    await bare.status("volumes", volume["id"], "gone")


async def test_repeated_and_late_messages_change_nothing(cloud: Cloud) -> None:
    volume = await cloud.volume()
    manager, agent = cloud.conductor.manager, cloud.agents["node1"].manager
    late = Outcome(task_id="0" * 36, host="node1", ok=True)
    assert await manager.task_ended(CTX, late) is False
    order = Order(task_id="0" * 36, work="delete_volume", volume_id=volume["id"], pool="node1@fake#fake")
    await agent.run(CTX, order)
    await until(lambda: not agent.running)
    await manager.run_task(CTX, "0" * 36)
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["status"] == "available"
    assert len(await cloud.agents["node1"].backends["node1@fake"].driver.volumes()) == 1


async def test_the_answer_to_a_report_is_lost(bare: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is repeated; the volume, which its user has by then, stays at its back end."""
    agent, ended, answers = await bare.agent(), bare.conductor.manager.results.ended, []

    async def lost(outcome: Outcome) -> bool:
        answers.append(await ended(outcome))
        if len(answers) == 1:
            raise BusError("the answer is lost")
        return answers[-1]

    monkeypatch.setattr(bare.conductor.manager.results, "ended", lost)
    volume = await bare.volume()
    await until(lambda: not agent.manager.running)
    assert answers == [True, True]
    assert [held.id for held in await agent.backends["node1@fake"].driver.volumes()] == [volume["id"]]


@pytest.mark.parametrize("lost", ["connect", "disconnect"])
async def test_an_export_that_no_attachment_has_keeps_nothing(cloud: Cloud, lost: str, monkeypatch: Any) -> None:
    """The answer of the back end was lost, or it was away when the attachment went: the volume can be reverted and deleted."""
    volume, backend = await cloud.volume(), cloud.agents["node1"].backends["node1@fake"]
    snapshot = await cloud.snapshot(volume["id"])
    if lost == "connect":
        await backend.driver.connect(volume["id"], "0" * 36, Connector(host="h"))
    else:
        body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": None, "connector": {"host": "h"}}}
        assert (await cloud("POST", "/attachments", "service", body)).status == 200
        assert (await cloud.act(volume["id"], "os-reset_status", {"status": "in-use"}, token="admin")).status == 202
        with monkeypatch.context() as away:
            away.setattr(FakeBackend, "disconnect", _away)
            asked = {"status": "available", "attach_status": "detached"}
            assert (await cloud.act(volume["id"], "os-reset_status", asked, token="admin")).status == 202
    (stored,) = await backend.driver.volumes()
    assert stored.attachments
    assert (await cloud.act(volume["id"], "revert", {"snapshot_id": snapshot["id"]})).status == 202
    await cloud.status("volumes", volume["id"], "available")
    await backend.driver.connect(volume["id"], "0" * 36, Connector(host="h"))
    assert (await cloud("DELETE", f"/volumes/{volume['id']}?cascade=true")).status == 202
    await cloud.status("volumes", volume["id"], "gone")


async def _away(*_: Any) -> None:
    raise BackendAway("it is away")


async def test_another_machine_can_not_end_a_task(bare: Cloud) -> None:
    agent = await bare.agent(delay={"create": 3600})
    made = (await bare.ok("POST", "/volumes", json={"volume": {"size": 1}}))["volume"]
    await until(lambda: agent.manager.running)
    (order,) = await _tasks(bare)
    outcome = Outcome(task_id=order.task_id, host="node9", ok=True)
    assert await bare.conductor.manager.task_ended(CTX, outcome) is False
    assert (await bare.ok("GET", f"/volumes/{made['id']}"))["volume"]["status"] == "creating"


async def test_force_delete_ends_what_was_begun(bare: Cloud) -> None:
    agent = await bare.agent(delay={"create": 0.2})
    made = (await bare.ok("POST", "/volumes", json={"volume": {"size": 1}}))["volume"]
    await until(lambda: agent.manager.running)
    assert (await bare.act(made["id"], "os-force_delete", token="admin")).status == 202
    await bare.status("volumes", made["id"], "gone")
    await asyncio.gather(*agent.manager.running.values())
    assert await agent.backends["node1@fake"].driver.volumes() == []


async def test_let_go_of_while_it_grows(bare: Cloud) -> None:
    """Its status is what its attachments make of it, not what it was before."""
    agent = await bare.agent(delay={"extend": 0.3})
    volume = await bare.volume()
    body = {"attachment": {"volume_uuid": volume["id"], "instance_uuid": None, "connector": {"host": "h"}}}
    made = (await bare.ok("POST", "/attachments", "service", body))["attachment"]
    assert (await bare("POST", f"/attachments/{made['id']}/action", "service", {"os-complete": {}})).status == 204
    assert (await bare.act(volume["id"], "os-extend", {"new_size": 2})).status == 202
    await until(lambda: agent.manager.running)
    assert (await bare("DELETE", f"/attachments/{made['id']}", "service")).status == 200
    assert (await bare.status("volumes", volume["id"], "available"))["size"] == 2


async def test_a_task_that_a_running_agent_lost_is_sent_again(bare: Cloud) -> None:
    agent = await bare.agent(delay={"create": 3600})
    made = (await bare.ok("POST", "/volumes", json={"volume": {"size": 1}}))["volume"]
    await until(lambda: agent.manager.running)
    agent.manager.backends["node1@fake"].driver._options = FakeBackendOptions()  # only this one hung
    for task in list(agent.manager.running.values()):
        task.cancel()
    await until(lambda: not agent.manager.running)
    bare.conductor_options = msgspec.structs.replace(bare.conductor_options, resend_after=1e-9)
    await _watch(bare)
    await bare.status("volumes", made["id"], "available")


async def test_messages_expire(bare: Cloud) -> None:
    volume = await bare.volume(wanted="error")
    assert await _reason(bare, volume["id"])
    await bare.conductor.manager.watch.check()
    assert (await bare.ok("GET", "/messages"))["messages"]
    async with bare.database.database.transaction() as tx:
        await tx.connection.execute(messages.update().values(guaranteed_until=dt.datetime(2020, 1, 1)))
    bare.conductor.manager.watch._expired = None
    await bare.conductor.manager.watch.check()
    assert (await bare.ok("GET", "/messages"))["messages"] == []


async def test_a_machine_reports_its_own_pools_alone(cloud: Cloud) -> None:
    """Neither another machine's pool, as which it would get volumes, nor another back end's."""
    pools = [
        PoolReport(name=name, total_gb=9e9, free_gb=9e9) for name in ("node2@fake#fake", "node1@other#x", "node3@big#a")
    ]
    report = AgentReport(
        host="node3", backends=[BackendReport(service="node3@big", availability_zone="nova", pools=pools)]
    )
    conductor = cloud.core.bus.client(VolumeConductorAPI)
    await conductor.report_agent(service_context("req-1"), report)
    found = (await cloud.ok("GET", "/scheduler-stats/get_pools", "admin"))["pools"]
    assert sorted(pool["name"] for pool in found) == ["node1@fake#fake", "node3@big#a"]
