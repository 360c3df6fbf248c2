"""The agent dies before or after each step of each action: its next life ends the action, once, and forgets it.

A sample; `GRID=all` runs every cell, as `make grid` does. Whole processes die in tests/process."""

from __future__ import annotations

import os

import msgspec
import pytest

from kilonova.cli.trace import timeline
from kilonova.compute import models
from kilonova.compute.actions.base import Action, CutOff, Runs
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.states import Vm
from kilonova.compute.steps import SOFT_REBOOT
from kilonova.compute.virt.driver import PowerState
from tests.component.agent.lab import CTX, HOST, Lab, build_of, server_id
from tests.eventually import until

IMAGE = "bbbbbbbb-0000-4000-8000-000000000001"
APART = ("attach_volume", "detach_volume", "extend_volume")  # they need a volume service
ON_HOST = [action for action in ACTIONS if action.runs is Runs.HOST and action.name not in APART]
GUESTS = {
    Vm.ACTIVE: PowerState.RUNNING, Vm.STOPPED: PowerState.SHUTDOWN, Vm.PAUSED: PowerState.PAUSED,
    Vm.SUSPENDED: PowerState.SUSPENDED, Vm.RESCUED: PowerState.RUNNING, Vm.SHELVED: PowerState.SHUTDOWN,
    Vm.SOFT_DELETED: PowerState.SHUTDOWN,
}  # fmt: skip
"""Where an action begins, by preference → the guest then."""
CELLS = [
    (action.name, step.name, when)
    for action in ON_HOST
    for step in action.steps
    for when in ("before", "after")
    if action.name != "reboot" or step is SOFT_REBOOT  # the guest obeys: the others are those of a hard reboot
]
SAMPLE = CELLS if os.environ.get("GRID") == "all" else CELLS[::5]


async def begun(lab: Lab, action: Action) -> models.ServerRef:
    """A server that the action was begun with, as the control plane leaves it."""
    await lab.start()
    assert (await lab.launch(build_of())).ok
    state = next(state for state in GUESTS if state in action.vm_states)
    guest = msgspec.structs.replace(lab.hypervisor.guests(HOST)[server_id()], state=int(GUESTS[state]))
    lab.hypervisor.put(HOST, server_id(), guest)
    row = lab.row()
    (vif,) = row.server.network_info
    spec = msgspec.structs.replace(row.spec, snapshot=models.Snapshot(image=IMAGE), rescue=models.Rescue())
    lab.image.held[IMAGE] = "queued"
    row = msgspec.structs.replace(
        row, action=action.shown, request_id="req-2", spec=spec,
        arguments={} if action.task is not None else {"port": vif.port_id, "mac": vif.mac_address},
        server=msgspec.structs.replace(row.server, vm_state=str(state), task_state=action.task, power_state=guest.state),
    )  # fmt: skip
    lab.conductor.take(row)
    return models.ServerRef(
        build=msgspec.structs.replace(row, action=action.name), request_id="req-2", action=action.name
    )


@pytest.mark.parametrize(("name", "step", "when"), SAMPLE)
async def test_an_action_survives_its_agent(lab: Lab, name: str, step: str, when: str) -> None:
    action = ACTIONS[name]
    ref = await begun(lab, action)
    lab.fault(step, "hang", when)
    await lab.host.run_action(CTX, ref)
    await until(lambda: lab.faults.rules[-1].count == 0, f"{step} is not reached")
    await lab.crash()
    lab.faults.rules.clear()
    await lab.start()
    await until(lambda: lab.conductor.ended)
    await lab.idle()
    ((done, change, fault, steps),) = lab.conductor.ended
    assert (done, fault is None) == (name, action.cut_off is CutOff.REDO)
    assert change.task_state is None
    if action.ends is not None:
        assert change.vm_state == str(action.ends)
    assert {record.step for record in steps} <= {step.name for step in action.steps}
    assert lab.journal.unfinished(HOST) == {}


@pytest.mark.parametrize("name", [action.name for action in ON_HOST])
async def test_an_action_is_told_step_by_step(lab: Lab, name: str) -> None:
    """What a host reports of an action, `kilonova trace` shows as it was: each step, in its order."""
    action = ACTIONS[name]
    ref = await begun(lab, action)
    await lab.host.run_action(CTX, ref)
    await until(lambda: lab.conductor.ended)
    ((_, _, fault, steps),) = lab.conductor.ended
    events = [
        {
            "event": f"{record.component}_{record.step}", "start_time": record.started_at.isoformat(),
            "finish_time": record.finished_at.isoformat() if record.finished_at else None, "host": record.host,
            "result": record.result, "details": record.detail,
        }
        for record in reversed(steps)
    ]  # fmt: skip
    shown = timeline({"action": name, "request_id": "req-2", "start_time": events[-1]["start_time"], "events": events})
    expected = [step.name for step in action.steps]
    assert fault is None
    assert [step.step for step in shown.steps] == (expected[:1] if name == "reboot" else expected)
    assert {(step.component, step.host, step.result) for step in shown.steps} == {("compute", HOST, "Success")}
    assert None not in [step.duration_ms for step in shown.steps]
