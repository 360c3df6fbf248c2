"""From recorded servers to messages at hosts, or to reasons."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
import pytest
from sqlalchemy import update

from kilonova.compute import tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.manager import ConductorManager
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.compute.store import decisions
from kilonova.core.faults import FaultRule
from tests.component.conductor.lab import CTX, FLAVOR, REQUEST, Lab
from tests.databases import statements_of
from tests.eventually import PATIENCE, until


async def test_a_launch_becomes_active(lab):
    agent = await lab.host("host-1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    row = await lab.server(uuid)
    assert (row.vm_state, row.task_state, row.power_state, row.host) == ("active", None, 1, "host-1")
    assert (row.node, row.availability_zone) == ("host-1", "nova")
    assert row.launched_at is not None
    (build,) = agent.builds
    assert (build.attempt, build.action, build.spec.admin_pass) == (1, "create", "geheim")
    assert build.server.host == "host-1"
    assert agent.answers == [True]
    assert (await lab.request_spec(uuid)).admin_pass is None
    (action,) = await lab.rows(tables.server_actions)
    assert action.finished_at is not None
    assert action.message is None
    steps = [(step, result) for step, _, result in await lab.steps(uuid)]
    assert steps == [("schedule", "Success"), ("claim", "Success"), ("dispatch", "Success")]
    assert await lab.claimed() == {"host-1": [uuid]}
    async with lab.database.reading() as connection:
        (decision,) = await decisions.of_server(connection, uuid)
    assert decision.chosen == "host-1"
    assert decision.candidates == 1
    assert decision.hosts[0].weight is not None
    assert await lab.rows(tables.outbox) == []


async def test_builds_of_many_requests_are_placed_together_and_recorded_separately(lab):
    """Three requests and one that no host has room for."""
    await lab.host("host-1")
    await lab.host("host-2")
    requests = {f"req-{n}": (await lab.servers(n, request_id=f"req-{n}")) for n in (1, 2, 3)}
    large = lab.spec(flavor=msgspec.structs.replace(FLAVOR, memory_mb=1 << 30))
    requests["req-4"] = await lab.servers(1, large, request_id="req-4")
    asked = [lab.conductor.build_servers(CTX, uuids, request_id) for request_id, uuids in requests.items()]
    await asyncio.gather(*asked)
    await lab.quiet()
    for request_id, uuids in requests.items():
        for uuid in uuids:
            assert (await lab.server(uuid)).vm_state == ("error" if request_id == "req-4" else "active")
            (decision,) = await lab.rows(tables.decisions, tables.decisions.c.server_uuid == uuid)
            assert decision.request_id == request_id
    built = {build.server.uuid: build.request_id for agent in lab.agents.values() for build in agent.builds}
    assert built == {uuid: r for r, uuids in requests.items() if r != "req-4" for uuid in uuids}
    alone = await statements(lab, 1)
    sent = await statements_of(lab.database)
    more = {f"more-{n}": (await lab.servers(1, request_id=f"more-{n}")) for n in range(3)}
    sent.clear()
    await asyncio.gather(*(lab.conductor.build_servers(CTX, uuids, request_id) for request_id, uuids in more.items()))
    assert len(sent) == alone


async def statements(lab, count: int) -> int:
    uuids = await lab.servers(count, request_id=f"req-{count}")
    for agent in lab.agents.values():
        agent.answer = lambda build: None
    sent = await statements_of(lab.database)
    await lab.conductor.build_servers(CTX, uuids, f"req-{count}")
    used = len(sent)
    await lab.quiet()
    rows = await lab.rows(tables.servers, tables.servers.c.uuid.in_(uuids))
    assert all(row.host is not None for row in rows)
    return used


async def test_fifty_servers_spread_with_as_many_statements_as_two(lab):
    for number in range(5):
        await lab.host(f"host-{number}", vcpus=20, memory_mb=20 * 1024)
    await lab.scheduler.hosts.shared()  # the first reading is another one than those that follow
    few = await statements(lab, 2)
    many = await statements(lab, 50)
    assert many == few
    spread = [len(agent.builds) for agent in lab.agents.values()]
    assert sum(spread) == 52
    assert max(spread) - min(spread) <= 1


async def test_no_valid_host_names_the_filters(lab):
    await lab.host("host-1", memory_mb=1024, reserved_memory_mb=1000)
    await lab.host("host-2", vcpus=1, reserved_vcpus=1)
    await lab.aggregate("a", ["host-2"], availability_zone="east")
    (uuid,) = await lab.servers(spec=lab.spec(availability_zone="nova"))
    await lab.build([uuid])
    row, fault = await lab.server(uuid), await lab.fault(uuid)
    assert (row.vm_state, row.task_state, row.host) == ("error", None, None)
    wanted = "No valid host was found. 2 hosts: AvailabilityZoneFilter removed 1, RamFilter removed 1."
    assert fault.message == wanted
    assert "host-1: RamFilter: 24 of 1024 MiB free, 1024 wanted" in fault.details
    assert "host-2: AvailabilityZoneFilter: in zone east, nova was asked for" in fault.details
    (action,) = await lab.rows(tables.server_actions)
    assert action.message == "Error"
    assert (await lab.steps(uuid)) == [("schedule", None, "Error")]
    assert (await lab.request_spec(uuid)).admin_pass is None
    assert await lab.claimed() == {"host-1": [], "host-2": []}


async def test_what_fits_is_placed_and_the_rest_gets_a_reason(lab):
    await lab.host("host-1", memory_mb=2048)
    uuids = await lab.servers(3)
    await lab.build(uuids)
    states = sorted([(await lab.server(uuid)).vm_state for uuid in uuids])
    assert states == ["active", "active", "error"]


async def test_no_host_at_all(lab):
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.fault(uuid)).message == "No valid host was found. No compute host is known."


async def test_repeated_messages_change_nothing(lab):
    agent = await lab.host("host-1")
    uuids = await lab.servers(3)
    await asyncio.gather(*(lab.conductor.build_servers(CTX, uuids, REQUEST) for _ in range(3)))
    await lab.quiet()
    await lab.build(uuids)
    assert len(agent.builds) == 3
    outcome = agent.succeed(agent.builds[0])
    launched = (await lab.server(uuids[0])).launched_at
    assert await lab.client.build_ended(CTX, outcome)
    assert (await lab.server(uuids[0])).launched_at == launched


async def test_two_conductors_with_the_same_message(lab):
    """As when a broker delivers again while the first is still at work: the claim ends up where the row says."""
    for number in range(4):
        await lab.host(f"host-{number}")
    deps = lab.conductor.deps
    network = lab.conductor.deletion.ports.network
    other = ConductorManager(lab.database, lab.bus, lab.placement, lab.clock, lab.faults, deps.options, network)
    uuids = await lab.servers(8)
    await asyncio.gather(lab.conductor.build_servers(CTX, uuids, REQUEST), other.build_servers(CTX, uuids, REQUEST))
    await lab.quiet()
    claimed = await lab.claimed()
    for uuid in uuids:
        row = await lab.server(uuid)
        assert row.vm_state == "active"
        assert uuid in claimed[row.host]
    assert sum(len(held) for held in claimed.values()) == 8
    assert sum(len(agent.builds) for agent in lab.agents.values()) == 8


async def test_a_claim_left_by_a_crash_does_not_fill_the_host(lab):
    """The process died after the claim and before the row was written; the message comes again."""
    await lab.host("host-1", memory_mb=1024)
    (uuid,) = await lab.servers()
    (made,) = await lab.scheduler.select_destinations(CTX, [uuid], lab.spec(), "p", "u")
    assert made.host == "host-1"
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "active"


async def test_deleted_while_it_is_scheduled(lab):
    agent = await lab.host("host-1")
    (uuid,) = await lab.servers()
    original = lab.scheduler.select_destinations

    async def slow(*arguments):
        made = await original(*arguments)
        await lab.change(uuid, task_state="deleting")
        await lab.client.delete_unhosted(CTX, uuid, "req-del")
        await until(lambda: lab.server(uuid), satisfies=lambda found: found.deleted)
        return made

    lab.scheduler.select_destinations = slow
    await lab.build([uuid])
    row = await lab.server(uuid)
    assert row.deleted == row.id
    assert row.vm_state == "deleted"
    assert agent.builds == []
    assert await lab.claimed() == {"host-1": []}


async def test_the_scheduler_is_unreachable(tmp_path):
    lab = Lab(tmp_path, conductor=ConductorOptions(schedule_timeout=0.5, startup_grace=0))
    await lab.open()
    await lab.host("host-1")
    await lab.bus.withdraw(SchedulerAPI, host="s1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "error"
    fault = await lab.fault(uuid)
    assert fault.message == "Scheduling failed: the scheduler did not answer within 0.5 s"
    assert "no receiver on scheduler" in fault.details
    await lab.close()


async def test_the_scheduler_comes_back_in_time(tmp_path):
    lab = Lab(tmp_path, conductor=ConductorOptions(schedule_timeout=PATIENCE, startup_grace=0))
    await lab.open()
    await lab.host("host-1")
    await lab.bus.withdraw(SchedulerAPI, host="s1")
    (uuid,) = await lab.servers()
    task = asyncio.ensure_future(lab.conductor.build_servers(CTX, [uuid], REQUEST))
    await asyncio.sleep(0.15)
    await lab.bus.serve(SchedulerAPI, lab.scheduler, host="s1")
    await task
    await lab.quiet()
    assert (await lab.server(uuid)).vm_state == "active"
    await lab.close()


@pytest.mark.parametrize("step", ["schedule", "claim", "dispatch"])
async def test_an_injected_failure_ends_in_error_without_a_claim(lab, step):
    await lab.host("host-1")
    lab.faults.rules.append(FaultRule(step=step, when="before", do="fail"))
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.server(uuid)).vm_state == "error"
    assert f"injected fault before step {step}" in (await lab.fault(uuid)).details
    assert await lab.claimed() == {"host-1": []}


async def test_anti_affinity_holds_against_a_faster_request(lab):
    """Two requests scheduled at the same moment choose the same host; the second is placed elsewhere."""
    for number in range(2):
        await lab.host(f"host-{number}", memory_mb=8192 - number)
    spec = lab.spec(scheduler_hints={"group": [await lab.group("anti-affinity")]})
    first, second = await lab.servers(1, spec), await lab.servers(1, spec, request_id="req-2")
    await asyncio.gather(
        lab.conductor.build_servers(CTX, first, REQUEST), lab.conductor.build_servers(CTX, second, "req-2")
    )
    await lab.quiet()
    hosts = {(await lab.server(uuid)).host for uuid in first + second}
    assert hosts == {"host-0", "host-1"}
    claimed = await lab.claimed()
    assert [len(held) for held in claimed.values()] == [1, 1]


async def test_servers_of_different_owners_are_kept_apart(lab):
    await lab.host("host-1")
    (one,) = await lab.servers()
    (two,) = await lab.servers(spec=lab.spec(flavor=msgspec.structs.replace(FLAVOR, vcpus=2)), project_id="other")
    await lab.build([one, two])
    assert {(await lab.server(uuid)).vm_state for uuid in (one, two)} == {"active"}
    held = await lab.placement.allocations(two)
    assert held.project_id == "other"


async def test_a_host_that_is_gone_counts_as_a_failed_attempt(lab):
    gone = await lab.host("host-1", memory_mb=16384)
    await lab.host("host-2")
    await lab.bus.withdraw(ComputeAPI, host="host-1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    assert (await lab.server(uuid)).host == "host-1"
    await asyncio.sleep(0.1)
    await lab.conductor.watchdog.check()
    await lab.quiet()
    row = await lab.server(uuid)
    assert (row.vm_state, row.host) == ("active", "host-2")
    assert await lab.claimed() == {"host-1": [], "host-2": [uuid]}
    # the host comes back, and the old message with it: it is refused
    await lab.bus.serve(ComputeAPI, gone, host="host-1")
    await until(lambda: gone.answers)
    await lab.quiet()
    assert gone.answers == [False]
    assert (await lab.server(uuid)).host == "host-2"


async def test_forced_host_skips_filters_but_not_the_claim(lab):
    await lab.host("host-1")
    await lab.host("host-2", memory_mb=512)
    (good,) = await lab.servers(spec=lab.spec(force_host="host-1"))
    (small,) = await lab.servers(spec=lab.spec(force_host="host-2"))
    (unknown,) = await lab.servers(spec=lab.spec(force_host="nowhere"))
    await lab.build([good, small, unknown])
    assert (await lab.server(good)).host == "host-1"
    assert (
        await lab.fault(small)
    ).message == "No valid host was found. 2 hosts: ForcedHost removed 1, claim removed 1."
    assert (await lab.fault(unknown)).message == "No valid host was found. 2 hosts: ForcedHost removed 2."


async def test_hosts_that_are_just_starting_are_waited_for(tmp_path):
    """After a restart of everything the message of a launch may be here before the hosts are."""
    lab = Lab(tmp_path, conductor=ConductorOptions(startup_grace=30))
    await lab.open()
    (uuid,) = await lab.servers()
    task = asyncio.ensure_future(lab.build([uuid]))
    await asyncio.sleep(0.2)
    await lab.host("host-1")
    await task
    assert (await lab.server(uuid)).vm_state == "active"
    await lab.close()


async def test_a_host_that_is_up_does_not_wait_for_one_that_is_starting(tmp_path):
    lab = Lab(tmp_path, conductor=ConductorOptions(startup_grace=30))
    await lab.open()
    await lab.host("host-1", memory_mb=1024)  # room for one
    await lab.host("host-2", memory_mb=1024)
    long_ago = (
        update(tables.services).where(tables.services.c.host == "host-2").values(last_seen=dt.datetime(2020, 1, 1))
    )
    async with lab.database.transaction() as tx:
        await tx.connection.execute(long_ago)
    first, second = [(await lab.servers(request_id=f"req-{n}"))[0] for n in (1, 2)]
    task = asyncio.gather(
        *(lab.conductor.build_servers(CTX, [uuid], f"req-{n}") for n, uuid in ((1, first), (2, second)))
    )
    await until(lambda: lab.server(first), satisfies=lambda found: found.vm_state == "active")
    assert (await lab.server(second)).vm_state == "building"
    async with lab.database.transaction() as tx:
        await tx.connection.execute(update(tables.services).values(last_seen=lab.now(), changed_at=lab.now()))
    await task
    await lab.quiet()
    assert [(await lab.server(uuid)).host for uuid in (first, second)] == ["host-1", "host-2"]
    assert (await lab.server(second)).vm_state == "active"
    await lab.close()
