"""Servers that no message will change any more, and claims without a server."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
import pytest
from sqlalchemy import update

from kilonova.compute import tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.models import StepRecord
from kilonova.core.bus import MemoryBus
from tests.component.conductor.lab import CTX, REQUEST, Lab
from tests.eventually import until

LONG = dt.timedelta(days=2)


async def test_waiting_servers_are_scheduled_after_the_grace(lab):
    agent = await lab.host("host-1")
    young, old = (await lab.servers())[0], (await lab.servers(request_id="req-2"))[0]
    await lab.change(old, created_at=lab.now() - LONG)
    await lab.conductor.reconciler.run()
    await lab.quiet()
    assert (await lab.server(young)).host is None
    assert (await lab.server(old)).vm_state == "active"
    assert [build.request_id for build in agent.builds] == ["req-2"]


async def test_at_the_start_of_all_in_one_there_is_no_grace(lab):
    await lab.host("host-1")
    uuids = await lab.servers(3)
    await lab.conductor.reconciler.start(all_in_one=True)
    await lab.quiet()
    await lab.conductor.reconciler.stop()
    assert {(await lab.server(uuid)).vm_state for uuid in uuids} == {"active"}


async def test_a_server_with_a_pending_message_is_left_alone(lab):
    await lab.host("host-1")
    (uuid,) = await lab.servers()
    await lab.bus.withdraw(ConductorAPI, host="c1")
    async with lab.database.transaction() as tx:
        await tx.outbox(ConductorAPI).build_servers(CTX, [uuid], REQUEST)
    await lab.conductor.reconciler.run(grace=0)
    assert (await lab.server(uuid)).host is None
    await lab.bus.serve(ConductorAPI, lab.conductor, host="c1")
    await asyncio.sleep(0.1)
    await lab.quiet()
    assert (await lab.server(uuid)).vm_state == "active"


async def test_a_build_that_shows_nothing_new_is_given_up(lab):
    agent = await lab.host("host-1")
    agent.answer = lambda build: None
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    await lab.record(
        [
            StepRecord(
                key="k", server_uuid=uuid, request_id=REQUEST, action="create", step="image", component="compute",
                host="host-1", started_at=lab.now(),
            )
        ],
    )  # fmt: skip
    await lab.conductor.reconciler.run()
    assert (await lab.server(uuid)).vm_state == "building"
    await lab.change(uuid, updated_at=lab.now() - LONG, task_state="spawning")
    await lab.conductor.reconciler.run()
    row, fault = await lab.server(uuid), await lab.fault(uuid)
    assert (row.vm_state, row.task_state, row.host) == ("error", None, "host-1")
    assert fault.message.startswith("The build showed nothing new for ")
    assert fault.details.startswith("The build on host-1 showed nothing new for ")
    assert fault.message.endswith("the last step seen is image.")
    assert not await lab.client.build_ended(CTX, agent.succeed(agent.builds[0]))


async def test_deletions_without_a_host_are_finished(lab):
    (uuid,) = await lab.servers()
    await lab.change(uuid, task_state="deleting")
    await lab.conductor.reconciler.run()
    assert not (await lab.server(uuid)).deleted
    await lab.conductor.reconciler.run(grace=0)
    assert (await lab.server(uuid)).deleted


async def test_a_host_gone_before_a_restart_of_the_conductor(lab):
    gone = await lab.host("host-1", memory_mb=16384)
    await lab.host("host-2")
    await lab.bus.withdraw(ComputeAPI, host="host-1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    lab.conductor.builds.dispatched.clear()
    await lab.change(uuid, updated_at=lab.now() - LONG)
    await lab.conductor.watchdog.check_all(0)
    await lab.quiet()
    assert (await lab.server(uuid)).host == "host-2"
    assert gone.builds == []


async def test_orphaned_claims_are_released_and_others_are_not(lab):
    await lab.host("host-1")
    node = (await lab.placement.providers())[0].uuid
    living = (await lab.servers())[0]
    await lab.build([living])
    waiting = (await lab.servers())[0]
    failed = (await lab.servers())[0]
    await lab.change(failed, vm_state="error", task_state=None)
    unknown = lab.clock.uuid()
    for consumer in (waiting, failed, unknown):
        assert await lab.placement.claim(consumer, node, {"VCPU": 1}, project_id="p", user_id="u")
    by_hand = lab.clock.uuid()
    body = {"allocations": {node: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
            "consumer_generation": None, "consumer_type": "RESERVATION"}  # fmt: skip
    headers = {"OpenStack-API-Version": "placement 1.39"}
    assert (await lab.http("PUT", f"/placement/allocations/{by_hand}", json=body, headers=headers)).status == 204
    assert await lab.conductor.reconciler.release_orphans() == 0  # seen for the first time
    assert await lab.conductor.reconciler.release_orphans(grace=0) == 2
    assert await lab.claimed() == {"host-1": sorted([living, waiting, by_hand])}


@pytest.mark.parametrize("killed_at", ["schedule", "dispatch"])
async def test_a_conductor_that_dies_in_the_middle(lab, killed_at):
    """The handler is cut off at a fault point; the next round of the reconciler finishes the launch."""
    from kilonova.core.faults import FaultRule

    agent = await lab.host("host-1", memory_mb=1024)  # room for one: its own claim must not be in the way
    hang = FaultRule(step=killed_at, when="after" if killed_at == "schedule" else "before", do="hang")
    lab.faults.rules.append(hang)
    (uuid,) = await lab.servers()
    task = asyncio.ensure_future(lab.conductor.build_servers(CTX, [uuid], REQUEST))
    await until(lambda: not hang.count)
    assert await lab.claimed() == {"host-1": [uuid]}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not lab.conductor.builds.in_flight)
    await lab.conductor.reconciler.run(grace=0)
    await lab.quiet()
    assert (await lab.server(uuid)).vm_state == "active"
    assert len(agent.builds) == 1
    assert msgspec.structs.asdict(agent.builds[0])["attempt"] == 1
    assert len(await lab.rows(tables.decisions)) == 1


async def test_after_an_outage_of_the_broker_no_host_counts_as_down(tmp_path, monkeypatch):
    lab = Lab(tmp_path, conductor=ConductorOptions(startup_grace=60, watch_interval=3600))
    await lab.open()
    lab.conductor.deps.settled_at = 0
    monkeypatch.setattr(MemoryBus, "ready", False)
    await lab.conductor.watchdog.check()
    async with lab.database.reading() as connection:
        assert await lab.conductor.deps.alive(connection, ["silent"]) == {"silent"}
    await lab.close()


async def test_a_build_on_a_host_that_is_down_is_done_by_another(lab):
    first, second = await lab.host("host-1", memory_mb=16384), await lab.host("host-2")
    first.answer = lambda build: None
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    await lab.change(uuid, task_state="spawning")
    async with lab.database.transaction() as tx:
        silent = update(tables.services).where(tables.services.c.host == "host-1")
        await tx.connection.execute(silent.values(last_seen=lab.now() - LONG))
    await lab.conductor.watchdog.check_all(0)
    await lab.quiet()
    row, spec = await lab.server(uuid), await lab.request_spec(uuid)
    assert (row.vm_state, row.host) == ("active", "host-2")
    assert [build.spec.failed_hosts for build in second.builds] == [{"host-1": "dispatch: the compute host is down"}]
    assert spec.attempts == 2
    assert not await lab.client.build_ended(CTX, first.succeed(first.builds[0]))
