"""Server actions on the host that has the server: the action's steps, journalled, and what is reported of their end."""

from __future__ import annotations

import msgspec

from kilonova.compute import models
from kilonova.compute.actions.base import Action
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.journal import Run
from kilonova.compute.agent.reasons import details_of, reason_of
from kilonova.compute.agent.runner import Host, Operation, OperationFailed, Refused, run, undo
from kilonova.compute.agent.steps import action_steps
from kilonova.compute.states import Vm
from kilonova.compute.steps import RUNNING
from kilonova.compute.virt.driver import PowerState, VirtError
from kilonova.core.context import RequestContext

ALIVE = {PowerState.RUNNING: Vm.ACTIVE, PowerState.PAUSED: Vm.PAUSED, PowerState.SUSPENDED: Vm.SUSPENDED}
"""What a server is whose action failed and whose guest is not off."""


class Result(msgspec.Struct):
    change: models.ServerChange
    fault: models.Fault | None = None
    steps: list[models.StepRecord] = []


async def act(host: Host, ctx: RequestContext, ref: models.ServerRef) -> Result:
    """Do `ref.action`; the state it leaves, or the fault. Repeating an action that was cut off is harmless."""
    operation = _launch(host, ctx, ref)
    run_name = host.journal.open_run(host.name, operation.build)
    fault: models.Fault | None = None
    try:
        await run(operation, action_steps(ref.action), run_name)
    except OperationFailed as failed:
        fault = failed.fault
    except Refused as refusal:
        fault = models.Fault(step=ref.action, reason=str(refusal))
    steps = host.journal.steps(run_name)
    host.journal.close_run(host.name, run_name)
    return await _ended(host, ref, fault, steps)


async def give_up(host: Host, ctx: RequestContext, ref: models.ServerRef, run: Run | None, *, undone: bool) -> Result:
    """The end of an action that an earlier life of this host was cut off in and that is not to be done again; `undone`: what it
    did is undone first."""
    reason = f"the compute agent was restarted during {ACTIONS[ref.action].shown}"
    begun = host.journal.cut_off(run, reason) if run is not None else []
    if undone:
        names = {record.step for record in begun}
        await undo(_launch(host, ctx, ref), [step for step in action_steps(ref.action) if step.name in names])
    last = begun[-1].step if begun else ref.action
    fault = models.Fault(step=last, reason=reason)
    return await _ended(host, ref, fault, begun)


def unknown(host: Host, ref: models.ServerRef) -> Result:
    """The end of an action that this host does not know."""
    fault = models.Fault(step=ref.action, reason=f"its host does not know the action {ref.action}")
    return Result(models.ServerChange(expect_host=host.name, task_state=None), fault)


def _launch(host: Host, ctx: RequestContext, ref: models.ServerRef) -> Operation:
    build = msgspec.structs.replace(ref.build, request_id=ref.request_id, action=ref.action)
    return Operation(host=host, ctx=ctx, build=build, vifs=list(build.server.network_info))


async def _ended(
    host: Host, ref: models.ServerRef, fault: models.Fault | None, steps: list[models.StepRecord]
) -> Result:
    action = ACTIONS[ref.action]
    try:
        state = await host.driver.power_state(ref.build.server.uuid)
    except VirtError as error:  # the end is reported all the same
        state = PowerState.NOSTATE
        fault = fault or models.Fault(step=ref.action, reason=reason_of(error, RUNNING), details=details_of(error))
    return Result(_change(host, ref, action, state, fault), fault, steps)


def _change(
    host: Host, ref: models.ServerRef, action: Action, state: PowerState, fault: models.Fault | None
) -> models.ServerChange:
    """Where the action leaves the server: as its descriptor says, or, when it failed, as the guest now is. One that waits for its
    resize to be confirmed or reverted goes on waiting."""
    change = models.ServerChange(expect_host=host.name, task_state=None, power_state=int(state))
    before = ref.build.server.vm_state
    if fault is not None and action.ends is not None and before != Vm.RESIZED:
        change.vm_state = str(ALIVE.get(state, action.fails))
    elif fault is None and action.ends is not None and before not in action.stays:
        change.vm_state = str(action.ends)
    return change
