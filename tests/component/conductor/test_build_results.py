"""How attempts end: the next alternate, a new decision, or ERROR with every host's reason."""

from __future__ import annotations

import asyncio

import msgspec

from kilonova.compute import models, tables
from tests.component.conductor.lab import CTX, REQUEST, Lab


async def three_hosts(lab: Lab) -> list:
    """host-1 is the best, then host-2, then host-3."""
    return [await lab.host(f"host-{n}", memory_mb=16384 - n * 1024) for n in (1, 2, 3)]


async def test_the_next_alternate_is_tried(lab):
    one, two, _ = await three_hosts(lab)
    one.answer = one.fail
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    row = await lab.server(uuid)
    assert (row.vm_state, row.host, row.node) == ("active", "host-2", "host-2")
    (build,) = two.builds
    assert build.attempt == 2
    assert build.spec.failed_hosts == {"host-1": "networking: no address left"}
    assert build.spec.alternates == ["host-3"]
    assert await lab.claimed() == {"host-1": [], "host-2": [uuid], "host-3": []}
    spec = await lab.request_spec(uuid)
    assert (spec.failed_hosts, spec.alternates, spec.admin_pass) == ({}, [], None)
    steps = [(name, host) for name, host, _ in await lab.steps(uuid)]
    assert steps.count(("dispatch", "host-1")) == 1
    assert steps.count(("dispatch", "host-2")) == 1


async def test_when_all_fail_users_read_why_and_admins_where(lab):
    for agent in await three_hosts(lab):
        agent.answer = agent.fail
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    row, fault = await lab.server(uuid), await lab.fault(uuid)
    assert (row.vm_state, row.task_state, row.host) == ("error", None, None)
    assert fault.message == "Build failed on 3 hosts: networking: no address left"
    assert [f"host-{n}: networking: no address left" in fault.details for n in (1, 2, 3)] == [True] * 3
    assert "secret inner words" in fault.details
    assert "secret" not in fault.message
    assert all(held == [] for held in (await lab.claimed()).values())
    (action,) = await lab.rows(tables.server_actions)
    assert action.message == "Error"


async def test_alternates_used_up_asks_the_scheduler_anew(lab):
    """The alternates have no room left by the time they are needed; a host that came later has."""
    one = await lab.host("host-1", memory_mb=4096)
    await lab.host("host-2", memory_mb=1024)
    (uuid,) = await lab.servers()

    def meanwhile(build):
        return None

    one.answer = meanwhile
    await lab.build([uuid])
    assert (await lab.request_spec(uuid)).alternates == ["host-2"]
    filler = await lab.servers(spec=lab.spec(force_host="host-2"), request_id="req-2")
    await lab.build(filler, "req-2")
    await lab.host("host-3")
    assert await lab.client.build_ended(CTX, one.fail(one.builds[0]))
    await lab.quiet()
    row = await lab.server(uuid)
    assert (row.vm_state, row.host) == ("active", "host-3")


async def test_no_host_is_left(lab):
    agent = await lab.host("host-1")
    agent.answer = agent.fail
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    message = (await lab.fault(uuid)).message
    assert message == (
        "No valid host was found. 1 host: NamedHosts removed 1. Build failed on 1 host: networking: no address left"
    )
    assert await lab.claimed() == {"host-1": []}


async def test_what_would_fail_everywhere_is_not_tried_elsewhere(lab):
    one, two, _ = await three_hosts(lab)
    one.answer = lambda build: one.fail(build, reschedule=False)
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.fault(uuid)).message == "Build failed on 1 host: networking: no address left"
    assert two.builds == []


async def test_a_forced_host_has_no_alternates(lab):
    one, two, _ = await three_hosts(lab)
    one.answer = one.fail
    (uuid,) = await lab.servers(spec=lab.spec(force_host="host-1"))
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "error"
    assert two.builds == []


async def test_long_reasons_are_cut_for_users_only(lab):
    agent = await lab.host("host-1")
    fault = models.Fault(step="image", reason="x" * 400)  # longer than any in the catalogue
    agent.answer = lambda build: msgspec.structs.replace(agent.fail(build, reschedule=False), fault=fault)
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    found = await lab.fault(uuid)
    assert found.message == "Build failed on 1 host: image"
    assert "x" * 400 in found.details


async def test_reasons_that_do_not_fit_are_left_to_admins(lab):
    hosts = [await lab.host(f"{'long-' * 8}host-{n}", memory_mb=16384 - n * 1024) for n in (1, 2, 3)]
    for agent in hosts:
        fault = models.Fault(
            step="image", reason=f"creating the disk from the image failed {agent.host[-1] * 60}", details="/var"
        )
        agent.answer = lambda build, agent=agent, fault=fault: msgspec.structs.replace(agent.fail(build), fault=fault)
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    found = await lab.fault(uuid)
    assert found.message.endswith("Build failed on 3 hosts: image")
    for agent in hosts:
        assert agent.host not in found.message
        assert f"{agent.host}: image: creating the disk" in found.details
        assert f"{agent.host}: image: /var" in found.details
    assert "/var" not in found.message


async def test_a_failure_reported_twice_reschedules_once(lab):
    one, two, three = await three_hosts(lab)
    one.answer = two.answer = three.answer = lambda build: None
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    outcome = one.fail(one.builds[0])
    await asyncio.gather(*(lab.client.build_ended(CTX, outcome) for _ in range(3)))
    await lab.quiet()
    assert (len(two.builds), len(three.builds)) == (1, 0)
    assert (await lab.server(uuid)).host == "host-2"
    # and a success of the first host that comes too late
    assert not await lab.client.build_ended(CTX, one.succeed(one.builds[0]))
    assert (await lab.server(uuid)).vm_state == "building"


async def test_success_of_a_server_that_is_being_deleted(lab):
    agent = await lab.host("host-1")
    agent.answer = lambda build: None
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    await lab.change(uuid, task_state="deleting")
    for outcome in (agent.succeed(agent.builds[0]), agent.fail(agent.builds[0])):
        assert not await lab.client.build_ended(CTX, outcome)
    assert (await lab.server(uuid)).task_state == "deleting"
    await lab.client.server_deleted(CTX, uuid, "req-2")
    assert not await lab.client.build_ended(CTX, agent.succeed(agent.builds[0]))
    assert not await lab.client.build_ended(
        CTX, msgspec.structs.replace(agent.succeed(agent.builds[0]), server_uuid=lab.clock.uuid())
    )


async def test_steps_of_an_outcome_are_kept_once(lab):
    agent = await lab.host("host-1")
    agent.answer = lambda build: None
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    began = models.StepRecord(
        key="k1", server_uuid=uuid, request_id=REQUEST, action="create", step="networking", component="compute",
        host="host-1", started_at=lab.now(),
    )  # fmt: skip
    ended = msgspec.structs.replace(began, finished_at=lab.now(), result="Success")
    await lab.record([began])
    await lab.client.build_ended(CTX, msgspec.structs.replace(agent.succeed(agent.builds[0]), steps=[began, ended]))
    await lab.record([began, msgspec.structs.replace(ended, result="Error")])
    assert [result for step, _, result in await lab.steps(uuid) if step == "networking"] == ["Success"]
