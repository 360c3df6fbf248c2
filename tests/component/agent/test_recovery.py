"""An agent that starts again: what an earlier process left half done comes to a stated end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.agent.recovery import take_up_lost
from kilonova.compute.virt.driver import PowerState
from tests.component.agent.lab import CTX, HOST, NOTHING, PORT, STEPS, Lab, active, build_of, server_id
from tests.eventually import until

CUT = [step for step in STEPS if step != "block_device_mapping"]


async def cut_off(lab: Lab, step: str) -> None:
    """A build that hangs after `step` until the process dies."""
    await lab.start()
    lab.fault(step, "hang", "after")
    await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of()))
    await until(lambda: lab.faults.rules[-1].count == 0)
    await lab.crash()
    lab.faults.rules.clear()


@pytest.mark.parametrize("step", CUT)
async def test_a_build_that_was_cut_off_is_taken_up(lab: Lab, step: str) -> None:
    await cut_off(lab, step)
    await lab.start()
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    assert [outcome.ok for outcome in lab.conductor.outcomes] == [True]
    assert lab.power() is PowerState.RUNNING
    assert set(lab.network.made) == {PORT}
    assert lab.journal.unfinished(HOST) == {}


async def test_a_message_delivered_again_does_not_start_a_second_build(lab: Lab) -> None:
    """The bus delivers the build again, as it was not acknowledged; the recovery is at work on it."""
    lab.wiring.event = ""
    await cut_off(lab, "plug")
    await lab.start()
    await lab.host.build_and_run_server(CTX, lab.conductor.rows[server_id()])
    await asyncio.sleep(0.05)
    await lab.plugged(PORT)
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    await lab.host.build_and_run_server(CTX, lab.conductor.rows[server_id()])  # and once more when it is ACTIVE
    await asyncio.sleep(0.05)
    assert [outcome.ok for outcome in lab.conductor.outcomes] == [True]
    assert lab.power() is PowerState.RUNNING
    assert set(lab.network.made) == {PORT}


async def test_a_deletion_interrupts_a_build_that_was_taken_up(lab: Lab) -> None:
    lab.wiring.event = ""
    await cut_off(lab, "networking")
    await lab.start()
    await until(lambda: lab.wiring.plugged)
    await lab.terminate()
    await asyncio.sleep(0.05)
    assert lab.traces() == NOTHING
    assert lab.conductor.outcomes == []


async def test_a_build_that_kills_the_agent_again_and_again_is_given_up(lab: Lab) -> None:
    await cut_off(lab, "image")
    for _ in range(lab.options.build_resumes):
        lab.fault("start", "hang", "after")
        await lab.start()
        await until(lambda: lab.faults.rules[-1].count == 0)
        await lab.crash()
        lab.faults.rules.clear()
    assert lab.conductor.outcomes == []
    lab.conductor.away["build_ended"] = 1
    await lab.start()
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    (outcome,) = lab.conductor.outcomes
    assert not outcome.ok
    assert outcome.fault is not None
    assert outcome.reschedule
    assert (outcome.fault.step, outcome.fault.reason) == ("start", "the compute agent died 3 times during this build")
    assert lab.traces() == NOTHING


async def test_a_build_that_left_no_journal_is_begun(lab: Lab) -> None:
    lab.conductor.take(build_of())
    await lab.start()
    await until(lambda: lab.conductor.outcomes)
    assert lab.conductor.outcomes[0].ok


@pytest.mark.parametrize("step", ["networking", "define", "running"])
async def test_a_run_whose_server_is_gone_is_removed(lab: Lab, step: str) -> None:
    await cut_off(lab, step)
    lab.conductor.rows.clear()
    await lab.start()
    await lab.idle()
    assert lab.traces() == NOTHING
    assert lab.conductor.outcomes == []


async def test_what_another_host_has_by_now_is_left_to_it(lab: Lab) -> None:
    """Ports have the same ids on every host: those that another host bound must stay."""
    await cut_off(lab, "running")
    build = build_of()
    lab.conductor.take(msgspec.structs.replace(build, server=msgspec.structs.replace(build.server, host="node-2")))
    lab.network.made[PORT] = msgspec.structs.replace(lab.network.made[PORT], host_id="node-2")
    await lab.start()
    await lab.idle()
    assert lab.traces() == NOTHING | {"ports": {PORT}}
    assert lab.network.made[PORT].host_id == "node-2"


async def test_a_reported_build_whose_run_was_not_closed_is_left_running(lab: Lab) -> None:
    await lab.start()
    lab.fault("active", "hang", "after")
    await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of()))
    await until(lambda: lab.conductor.outcomes)
    await lab.crash()
    assert lab.conductor.rows[server_id()].server.vm_state == "active"
    await lab.start()
    await lab.idle()
    assert lab.power() is PowerState.RUNNING
    assert lab.journal.unfinished(HOST) == {}
    assert len(lab.conductor.outcomes) == 1


async def test_a_deletion_that_was_cut_off_is_finished(lab: Lab) -> None:
    lab.conductor.take(active(build_of(), task_state="deleting"))
    lab.put_guest(PowerState.RUNNING)
    lab.network.add(PORT, device_id=server_id(), **{"binding:host_id": HOST})
    lab.conductor.away["server_deleted"] = 1
    await lab.start()
    await until(lambda: lab.conductor.deleted)
    await lab.idle()
    assert lab.traces() == NOTHING


CUT_ACTIONS: list[tuple[str, str, PowerState, str, PowerState]] = [
    ("powering-off", "active", PowerState.RUNNING, "stop", PowerState.SHUTDOWN),
    ("powering-on", "stopped", PowerState.SHUTDOWN, "start", PowerState.RUNNING),
    ("rebooting", "active", PowerState.RUNNING, "reboot", PowerState.RUNNING),
    ("rebooting_hard", "active", PowerState.SHUTDOWN, "reboot_hard", PowerState.RUNNING),
    ("pausing", "active", PowerState.RUNNING, "pause", PowerState.PAUSED),
    ("pausing", "active", PowerState.PAUSED, "pause", PowerState.PAUSED),
    ("unpausing", "paused", PowerState.PAUSED, "unpause", PowerState.RUNNING),
    ("suspending", "active", PowerState.RUNNING, "suspend", PowerState.SUSPENDED),
    ("suspending", "active", PowerState.SUSPENDED, "suspend", PowerState.SUSPENDED),
    ("resuming", "suspended", PowerState.SUSPENDED, "resume", PowerState.RUNNING),
    ("resuming", "suspended", PowerState.RUNNING, "resume", PowerState.RUNNING),
]


@pytest.mark.parametrize(("task", "vm_state", "before", "action", "after"), CUT_ACTIONS)
async def test_an_action_that_was_cut_off_is_done_again(
    lab: Lab, task: str, vm_state: str, before: PowerState, action: str, after: PowerState
) -> None:
    lab.conductor.take(active(build_of(networks=0), vm_state=vm_state, task_state=task))
    lab.put_guest(before)
    await lab.start()
    await until(lambda: lab.conductor.ended)
    done, change, fault, _ = lab.conductor.ended[0]
    assert (done, fault, change.task_state) == (action, None, None)
    assert lab.power() is after
    await lab.idle()
    assert lab.journal.unfinished(HOST) == {}


POWERS: list[tuple[str, PowerState, bool, PowerState, list[tuple[str, int]]]] = [
    # vm_state, the guest found, resume_guests_on_boot, the guest afterwards, what is reported
    ("active", PowerState.RUNNING, True, PowerState.RUNNING, []),
    ("active", PowerState.SHUTDOWN, True, PowerState.RUNNING, []),
    ("active", PowerState.SHUTDOWN, False, PowerState.SHUTDOWN, [(server_id(), 4)]),
    ("active", PowerState.CRASHED, False, PowerState.CRASHED, [(server_id(), 6)]),
    ("error", PowerState.SHUTDOWN, True, PowerState.SHUTDOWN, [(server_id(), 4)]),
    ("active", PowerState.SUSPENDED, True, PowerState.RUNNING, []),  # by whatever shut the host down
    ("active", PowerState.PAUSED, True, PowerState.PAUSED, [(server_id(), 3)]),
    ("paused", PowerState.SHUTDOWN, True, PowerState.SHUTDOWN, [(server_id(), 4)]),
    ("suspended", PowerState.SUSPENDED, True, PowerState.SUSPENDED, [(server_id(), 7)]),
]


@pytest.mark.parametrize(("vm_state", "found", "resume", "after", "reported"), POWERS)
async def test_guests_after_the_host_was_rebooted(
    lab: Lab, vm_state: str, found: PowerState, resume: bool, after: PowerState, reported: list[Any]
) -> None:
    lab.options = msgspec.structs.replace(lab.options, resume_guests_on_boot=resume)
    lab.conductor.take(active(build_of(networks=0), vm_state=vm_state))
    lab.put_guest(found)
    await lab.start()
    await lab.idle()
    await until(lambda: len(lab.conductor.powers) >= len(reported))
    await asyncio.sleep(0.01)
    assert lab.power() is after
    assert lab.conductor.powers == reported


@pytest.mark.parametrize(("power_state", "fails"), [(1, False), (1, True), (4, False)])
async def test_a_resize_that_waits_to_be_confirmed_goes_on_waiting(lab: Lab, power_state: int, fails: bool) -> None:
    """Its guest is started again after the host was rebooted, unless it was off before."""
    lab.conductor.take(active(build_of(networks=0), vm_state="resized", power_state=power_state))
    lab.put_guest(PowerState.SHUTDOWN)
    if fails:
        lab.fault("start", "fail")
    await lab.start()
    await lab.idle()
    ended = [(action, change.vm_state, fault is not None) for action, change, fault, _ in lab.conductor.ended]
    assert ended == ([("start", msgspec.UNSET, fails)] if power_state == 1 else [])
    assert lab.power() is (PowerState.RUNNING if power_state == 1 and not fails else PowerState.SHUTDOWN)
    assert lab.conductor.powers == []


async def test_a_conductor_that_is_unreachable_at_the_agents_start_is_asked_again(lab: Lab) -> None:
    lab.conductor.take(build_of())
    lab.conductor.away["servers_on_host"] = 1
    await lab.start()
    await until(lambda: lab.conductor.outcomes)
    assert lab.conductor.outcomes[0].ok


async def test_one_server_that_cannot_be_recovered_does_not_keep_the_others(lab: Lab) -> None:
    lab.conductor.take(active(build_of(1), task_state="deleting"))
    lab.conductor.take(active(build_of(2, networks=0), task_state="powering-off"))
    lab.put_guest(PowerState.RUNNING, 1)
    lab.put_guest(PowerState.RUNNING, 2)
    await lab.start(fail={"undefine": server_id(1)})
    await until(lambda: lab.conductor.ended)
    assert lab.conductor.deleted == []
    assert lab.power(2) is PowerState.SHUTDOWN


async def test_what_was_deleted_while_the_host_was_down_is_removed(lab: Lab) -> None:
    """Only what the conductor knows to be deleted: neither an unknown server nor one that exists."""
    lab.conductor.take(active(build_of(3)))
    lab.conductor.deleted.append(server_id(1))
    for number in (1, 2, 3):
        lab.put_guest(PowerState.RUNNING, number)
    await lab.start()
    await until(lambda: lab.power(1) is PowerState.NOSTATE)
    await lab.idle()
    assert lab.hypervisor.disks(HOST) == {server_id(2), server_id(3)}
    assert (lab.power(2), lab.power(3)) == (PowerState.RUNNING, PowerState.RUNNING)


async def test_nothing_is_removed_on_an_error(lab: Lab) -> None:
    lab.conductor.deleted.append(server_id(1))
    lab.conductor.away["deleted_servers"] = 1
    lab.put_guest(PowerState.RUNNING, 1)
    await lab.start()
    await asyncio.sleep(0.05)
    await lab.idle()
    assert lab.power(1) is PowerState.RUNNING


async def test_several_runs_of_one_server_all_end(lab: Lab) -> None:
    await cut_off(lab, "image")
    await lab.start(serve=False)
    lab.journal.open_run(HOST, msgspec.structs.replace(build_of(), request_id="req-0"), resumes=1)
    lab.journal.open_run(HOST, msgspec.structs.replace(build_of(), request_id="req-5", action="stop"))
    await lab.crash()
    await lab.start()
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    assert lab.journal.unfinished(HOST) == {}
    assert [outcome.ok for outcome in lab.conductor.outcomes] == [True]
    assert isinstance(lab.conductor.outcomes[0], models.BuildOutcome)


async def test_a_host_that_starts_before_its_conductor_waits(lab: Lab) -> None:
    lab.conductor.away["report_host"] = 2
    await lab.start()
    assert len(lab.conductor.reports) == 1


async def test_a_host_that_could_not_report_asks_for_its_servers_states(tmp_path: Path) -> None:
    """Its server was deleted as if it were dead: it need not be started again to find out."""
    lab = Lab(tmp_path, heartbeat=0.3)
    await lab.open()
    await lab.start()
    await until(lambda: len(lab.conductor.reports) == 2)  # the look at the start is over
    lab.put_guest(PowerState.RUNNING)
    lab.conductor.deleted.append(server_id())
    lab.conductor.away["report_host"] = 2
    await until(lambda: lab.power() is PowerState.NOSTATE)
    await lab.idle()
    assert lab.traces() == NOTHING
    await lab.close()


async def test_work_that_was_lost_is_taken_up_at_the_second_look(lab: Lab) -> None:
    """A message may still be on its way at the first one."""
    await lab.start()
    assert (await lab.launch(build_of())).ok
    assert lab.agent is not None
    manager = lab.agent.manager
    lab.conductor.rows[server_id()] = msgspec.structs.replace(lab.row(), action="stop", request_id="req-5")
    lab.conductor.busy_with(server_id(), "powering-off")
    seen = await take_up_lost(manager, CTX, {})
    assert (seen, manager.busy) == ({server_id(): "req-5 powering-off"}, {})
    assert await take_up_lost(manager, CTX, {server_id(): "req-4 powering-off"}) == seen  # another action than was seen
    assert manager.busy == {}
    await take_up_lost(manager, CTX, seen)
    await until(lambda: lab.conductor.ended)
    await lab.idle()
    assert [(action, fault) for action, _, fault, _ in lab.conductor.ended] == [("stop", None)]
    assert lab.power() is PowerState.SHUTDOWN
    assert await take_up_lost(manager, CTX, seen) == {}


@pytest.mark.parametrize(
    ("vm_state", "task_state", "waits"),
    [
        ("building", "networking", False), ("building", "deleting", True), ("shelved_offloaded", "unshelving", False),
        ("shelved", "unshelving", True), ("active", "resize_migrating", False), ("active", "rebuilding", True),
        ("active", None, False),
    ],
)  # fmt: skip
async def test_launches_and_moves_are_the_conductors(
    lab: Lab, vm_state: str, task_state: str | None, waits: bool
) -> None:
    await lab.start()
    assert lab.agent is not None
    lab.conductor.take(active(build_of(), vm_state=vm_state, task_state=task_state))
    assert (server_id() in await take_up_lost(lab.agent.manager, CTX, {})) is waits


async def test_work_in_progress_is_not_lost(lab: Lab) -> None:
    await lab.start()
    assert (await lab.launch(build_of())).ok
    assert lab.agent is not None
    lab.fault("power_off", "hang")
    lab.conductor.rows[server_id()] = msgspec.structs.replace(lab.row(), action="stop", request_id="req-5")
    lab.conductor.busy_with(server_id(), "powering-off")
    await lab.host.run_action(CTX, models.ServerRef(build=lab.row(), request_id="req-5", action="stop"))
    await until(lambda: lab.faults.rules[-1].count == 0)
    assert await take_up_lost(lab.agent.manager, CTX, {server_id(): "req-5 powering-off"}) == {}


@pytest.mark.parametrize(
    ("vm_state", "power", "guest", "follows"),
    [
        ("active", 1, PowerState.SHUTDOWN, True),
        ("stopped", 4, PowerState.RUNNING, True),
        ("active", 4, PowerState.SHUTDOWN, True),  # the state was reset
        ("paused", 3, PowerState.RUNNING, True),
        ("active", 1, PowerState.RUNNING, False),
        ("active", 1, PowerState.NOSTATE, False),
        ("resized", 1, PowerState.RUNNING, False),
    ],
)
async def test_a_row_follows_a_guest_whose_event_was_lost(
    lab: Lab, vm_state: str, power: int, guest: PowerState, follows: bool
) -> None:
    await lab.start()
    assert lab.agent is not None
    if guest is not PowerState.NOSTATE:
        lab.put_guest(guest)
    lab.conductor.take(active(build_of(), vm_state=vm_state, power_state=power))
    for _ in range(2):  # the second look finds nothing new
        await take_up_lost(lab.agent.manager, CTX, {})
        await lab.idle()
    assert lab.conductor.powers == ([(server_id(), int(guest))] if follows else [])
    assert lab.power() is guest
