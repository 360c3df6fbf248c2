"""Stop, start, reboot and removal of a guest that is on this host, on the same steps as a launch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.launch import Host, Launch, LaunchFailed, run
from kilonova.compute.agent.reasons import details_of, reason_of
from kilonova.compute.agent.steps import POWER_ON
from kilonova.compute.agent.steps.networking import release_ports
from kilonova.compute.states import ACTIONS, Vm
from kilonova.compute.virt.driver import PowerState, VirtError
from kilonova.core import log
from kilonova.core.context import RequestContext

logger = log.get("agent")


class Result(msgspec.Struct):
    change: models.ServerChange
    fault: models.Fault | None = None
    steps: list[models.StepRecord] = []


async def act(host: Host, ctx: RequestContext, ref: models.ServerRef) -> Result:
    """Do `ref.action`; the state it leaves, or the fault. Repeating an action that was cut off is harmless."""
    build = msgspec.structs.replace(ref.build, request_id=ref.request_id, action=ref.action)
    launch = Launch(host=host, ctx=ctx, build=build, vifs=list(build.server.network_info))
    run_name = host.journal.open_run(host.name, build)
    fault: models.Fault | None = None
    try:
        await ACTS[ref.action](launch, run_name)
    except LaunchFailed as failed:
        fault = failed.fault
    except Exception as error:
        logger.warning("action failed", action=ref.action, server=launch.uuid, host=host.name, exc_info=error)
        fault = models.Fault(step=ref.action, reason=reason_of(error, ref.action), details=details_of(error))
    steps = host.journal.steps(run_name)
    host.journal.close_run(host.name, run_name)
    try:
        state = await host.driver.power_state(launch.uuid)
    except VirtError as error:  # the end must be told all the same
        state = PowerState.NOSTATE
        fault = fault or models.Fault(step=ref.action, reason=reason_of(error, ref.action), details=details_of(error))
    return Result(_change(host, ref, state, fault), fault, steps)


def _change(host: Host, ref: models.ServerRef, state: PowerState, fault: models.Fault | None) -> models.ServerChange:
    """Where the action leaves the server: as the table says, or, when it failed, as the guest now is."""
    wanted = ACTIONS[ref.action].ends
    if fault is None:
        vm_state = str(wanted or ref.build.server.vm_state)
    elif state is PowerState.RUNNING:
        vm_state = Vm.ACTIVE.value
    else:
        vm_state = Vm.STOPPED.value if ref.action == "start" else Vm.ERROR.value
    return models.ServerChange(expect_host=host.name, vm_state=vm_state, task_state=None, power_state=int(state))


async def _stop(launch: Launch, _run: str) -> None:
    driver = launch.host.driver
    if await driver.power_state(launch.uuid) is not PowerState.RUNNING or not await driver.shutdown(
        launch.uuid, timeout=launch.host.options.shutdown_timeout
    ):
        await driver.destroy(launch.uuid)
    await launch.host.wiring.unplug(launch.ctx, [vif.port_id for vif in launch.vifs])


async def _power_on(launch: Launch, run_name: str) -> None:
    await launch.host.driver.destroy(launch.uuid)
    await run(launch, POWER_ON, run_name)


async def _reboot(launch: Launch, run_name: str) -> None:
    """Soft where the guest obeys in time, else hard."""
    driver = launch.host.driver
    if await driver.power_state(launch.uuid) is PowerState.RUNNING and await driver.reboot(
        launch.uuid, timeout=launch.host.options.shutdown_timeout
    ):
        return
    await _power_on(launch, run_name)


ACTS = {"stop": _stop, "start": _power_on, "reboot": _reboot, "reboot_hard": _power_on}


async def remove_traces(
    host: Host, build: models.ServerBuild, vifs: Sequence[models.Vif], *, moved: bool = False
) -> None:
    """Guest, wiring, ports, disks: whatever is there. Raises when something could not be removed. `moved`: the server may
    be another host's by now, whose ports stay."""
    uuid = build.server.uuid
    ctx = RequestContext(request_id=build.request_id)
    host.events.forget(uuid)
    await host.driver.destroy(uuid)
    await host.driver.undefine(uuid)
    await release_ports(host, ctx, build, vifs, moved=moved)
    await host.driver.disks.remove(uuid)
