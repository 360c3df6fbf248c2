"""What an agent does when it starts: resume or undo the unfinished work of an earlier process, and check its guests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from kilonova.compute import models
from kilonova.compute.actions.base import Action, CutOff, Runs
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.actions import give_up, unknown
from kilonova.compute.agent.journal import Run
from kilonova.compute.agent.manager import ComputeManager, Work
from kilonova.compute.agent.origins import Leaving, origin_of
from kilonova.compute.agent.removal import remove_guest
from kilonova.compute.agent.runner import Operation, OperationFailed, outcome, undo
from kilonova.compute.agent.steps import launch_steps
from kilonova.compute.moves import TASKS
from kilonova.compute.states import FOLLOWS, SETTLED, Task, Vm, is_launching
from kilonova.compute.virt.driver import PowerState
from kilonova.core import log
from kilonova.core.context import RequestContext

logger = log.get("agent")
AWAKENED = {
    PowerState.NOSTATE: "start", PowerState.SHUTDOWN: "start", PowerState.CRASHED: "start", PowerState.SUSPENDED: "resume",
}  # fmt: skip
"""How an active server's guest comes up again. A paused one was paused by something else, which may need it so."""
RESCUED_AGAIN = {PowerState.NOSTATE: "rescue", PowerState.SHUTDOWN: "rescue", PowerState.CRASHED: "rescue"}
AWAKENS: Mapping[str, Mapping[PowerState, str]] = {
    Vm.ACTIVE: AWAKENED, Vm.RESCUED: RESCUED_AGAIN, Vm.RESIZED: AWAKENED,
}  # fmt: skip


async def recover(manager: ComputeManager, ctx: RequestContext) -> list[asyncio.Task[None]]:
    """Bring every server whose row names this host, and every run the journal shows, to a stated end.

    To be called before the first message is taken: each server found is busy when this returns, so that a message which
    the bus delivers again is known as a repeat, and a deletion interrupts. The tasks do the work."""
    host = manager.host
    rows = {b.server.uuid: b for b in await host.ask_conductor(lambda: host.conductor.servers_on_host(ctx, host.name))}
    runs = _open_runs(manager)
    return [_begin(manager, ctx, uuid, rows.get(uuid), runs) for uuid in sorted(rows.keys() | runs.keys())]


async def take_up_lost(manager: ComputeManager, ctx: RequestContext, seen: Mapping[str, str]) -> dict[str, str]:
    """Begin what servers' rows wait for while nothing here does it: its message was lost, or its work failed in a way that no
    report followed. A message may still be on its way: only what was so at the last look (`seen`: server → what it waits for)
    is begun. What is so now. Idle servers' rows follow their guests, where an event was lost."""
    host = manager.host
    if manager.draining:
        return {}
    rows = {row.server.uuid: row for row in await host.conductor.servers_on_host(ctx, host.name)}
    await _follow_guests(manager, ctx, rows.values())
    waiting = {
        uuid: f"{row.request_id} {row.server.task_state}"
        for uuid, row in rows.items()
        if uuid not in manager.busy and _waits(row)
    }
    runs = _open_runs(manager)
    for uuid in [uuid for uuid, what in waiting.items() if seen.get(uuid) == what]:
        logger.warning("lost work taken up", server=uuid, host=host.name, task_state=rows[uuid].server.task_state)
        _begin(manager, ctx, uuid, rows[uuid], runs)
    return waiting


async def _follow_guests(manager: ComputeManager, ctx: RequestContext, rows: Iterable[models.ServerBuild]) -> None:
    """A report waits its turn among the server's work, so that no older state is reported after an action."""
    guests = {guest.uuid: guest.power_state for guest in await manager.host.driver.guests()}
    for row in rows:
        uuid = row.server.uuid
        state = guests.get(uuid, PowerState.NOSTATE)
        if row.server.task_state is None and uuid not in manager.busy and _contradicts(state, row.server):
            manager.begin(
                uuid, partial(_told, partial(_report_power, manager, ctx, row.server), manager.host.name, uuid)
            )


def _contradicts(state: PowerState, server: models.Server) -> bool:
    """Whether the guest is not what its row says; one that is not there is left to the server's next start."""
    if state is PowerState.NOSTATE or server.vm_state not in SETTLED:
        return False
    return int(state) != server.power_state or (state in FOLLOWS and server.vm_state in FOLLOWS[state][0])


async def _report_power(manager: ComputeManager, ctx: RequestContext, server: models.Server) -> None:
    host, state = manager.host, await manager.host.driver.power_state(server.uuid)
    if _contradicts(state, server):
        await host.ask_conductor(
            lambda: host.conductor.power_state_seen(ctx, host.name, server.uuid, int(state)), server=server.uuid
        )


def _waits(row: models.ServerBuild) -> bool:
    """For its deletion, or an action; the conductor looks after launches and moves."""
    task = row.server.task_state
    if is_launching(row.server.vm_state, task):
        return task == Task.DELETING
    return task == Task.DELETING or ACTIONS.by_task(task, row.action) is not None


OpenRuns = Mapping[str, list[tuple[str, Run]]]


def _open_runs(manager: ComputeManager) -> OpenRuns:
    """Server → the journal's."""
    runs: dict[str, list[tuple[str, Run]]] = {}
    for name, run in manager.host.journal.unfinished(manager.host.name).items():
        runs.setdefault(run.build.server.uuid, []).append((name, run))
    return runs


def _begin(
    manager: ComputeManager, ctx: RequestContext, uuid: str, row: models.ServerBuild | None, runs: OpenRuns
) -> asyncio.Task[None]:
    work = partial(_one, manager, ctx, row, runs.get(uuid, []))
    return manager.begin(uuid, partial(_told, work, manager.host.name, uuid))


async def _told(work: Work, host: str, server: str) -> None:
    try:
        await work()
    except Exception as error:
        logger.error("recovery failed", host=host, server=server, exc_info=error)


async def _one(
    manager: ComputeManager, ctx: RequestContext, row: models.ServerBuild | None, runs: list[tuple[str, Run]]
) -> None:
    # of several, the one that was taken up most often counts
    found = max(runs, key=lambda item: (origin_of(item[1].build).is_new, item[1].resumes)) if runs else None
    for name, run in runs:
        if found is not None and name != found[0]:
            manager.host.journal.close_run(run.host, name)
    server = row.server if row is not None else None
    moving = server is None or server.task_state in TASKS
    if found is not None and moving and await _arrival(manager, ctx, found):
        return
    if row is None or server is None:
        if found is not None:
            await _abandon(manager, found)
        return
    if server.task_state == Task.DELETING:
        await manager.terminate(ctx, models.ServerRef(build=row, request_id=row.request_id, action="delete"))
    elif is_launching(server.vm_state, server.task_state):
        await _take_up(manager, ctx, row, found)
    else:
        if found is not None:
            await _end(manager, found, moving=moving)
        begun = found[1] if found is not None else None
        action = ACTIONS.by_task(server.task_state, row.action)
        if action is not None and row.action not in ("", action.name, action.shown):
            return  # it is being moved away, which shows the same task_state
        if action is not None:
            await _cut_off(manager, ctx, row, action, begun)
        elif begun is not None and (unseen := ACTIONS.get(begun.build.action)) is not None and _shows_nothing(unseen):
            same = msgspec.structs.replace(row, request_id=begun.build.request_id, arguments=begun.build.arguments)
            await _cut_off(manager, ctx, same, unseen, begun)
        elif server.task_state is None:
            await _check_power(manager, ctx, row)
        elif server.task_state not in set(Task):  # of an action that this host had and has no more
            ref = models.ServerRef(build=row, request_id=row.request_id, action=row.action)
            await manager.report_action(ctx, ref, unknown(manager.host, ref))


def _shows_nothing(action: Action) -> bool:
    """Whether only the journal says that a host was at it: clients see no task_state of it."""
    return action.runs is Runs.HOST and action.task is None


async def _cut_off(
    manager: ComputeManager, ctx: RequestContext, row: models.ServerBuild, action: Action, run: Run | None
) -> None:
    """An action that an earlier life of this host did not finish: as its descriptor says."""
    ref = models.ServerRef(build=row, request_id=row.request_id, action=action.name)
    if action.cut_off is CutOff.REDO:
        await manager.act(ctx, ref)
    else:
        given_up = await give_up(manager.host, ctx, ref, run, undone=action.cut_off is CutOff.UNDO)
        await manager.report_action(ctx, ref, given_up)


async def _arrival(manager: ComputeManager, ctx: RequestContext, found: tuple[str, Run]) -> bool:
    """A server on its way here from another host is brought up; False for any other run, and when it is not wanted here any
    more."""
    host, build = manager.host, found[1].build
    if build.move is None:
        return False
    wanted = origin_of(build).expected(host.name)
    if not await host.ask_conductor(
        lambda: host.conductor.update_server(ctx, build.server.uuid, wanted), server=build.server.uuid
    ):
        return False
    await _take_up(manager, ctx, build, found)
    return True


async def _end(manager: ComputeManager, found: tuple[str, Run], *, moving: bool) -> None:
    """The server is here, and what was being done to it is not to be done any more. One that was leaving, in a move that was cut
    off, has its disks again; a move that goes on has had this host's report."""
    name, run = found
    origin = origin_of(run.build)
    if isinstance(origin, Leaving) and not moving:
        await origin.remove(manager.host, [])
    manager.host.journal.close_run(manager.host.name, name)


async def _abandon(manager: ComputeManager, found: tuple[str, Run]) -> None:
    """The row is gone or elsewhere: what this host made goes too."""
    name, run = found
    origin = origin_of(run.build)
    if origin.is_new:
        await origin.remove(manager.host, [])
    manager.host.journal.close_run(manager.host.name, name)


async def _take_up(
    manager: ComputeManager, ctx: RequestContext, row: models.ServerBuild, found: tuple[str, Run] | None
) -> None:
    """Do the build again from its first step; one that was cut off too often is undone and reported as failed."""
    host = manager.host
    if found is None:
        await manager.launch(ctx, row)
        return
    name, run = found
    if run.resumes < host.options.build_resumes:
        logger.info("build resumed", server=row.server.uuid, host=host.name)
        await manager.launch(ctx, row, resumes=run.resumes + 1)
        if name in host.journal.unfinished(host.name):  # the row's attempt has another name
            host.journal.close_run(host.name, name)
        return
    operation = Operation(host=host, ctx=ctx, build=row)
    undone = await undo(operation, launch_steps(row))
    reason = f"the compute agent died {run.resumes + 1} times during this build"
    begun = host.journal.cut_off(run, reason)
    fault = models.Fault(step=begun[-1].step if begun else "accept", reason=reason)
    ended = outcome(operation, begun, OperationFailed(fault, reschedule=True))
    await host.ask_conductor(lambda: host.conductor.build_ended(ctx, ended), server=ended.server_uuid)
    manager.settle(row, name, undone=undone)


async def _check_power(manager: ComputeManager, ctx: RequestContext, row: models.ServerBuild) -> None:
    """An active server whose guest is off (the host was rebooted) is started again, or resumed where its memory was saved;
    otherwise its row follows the guest. One whose resize waits to be confirmed may have been off before."""
    host, server = manager.host, row.server
    state = await host.driver.power_state(server.uuid)
    action = AWAKENS.get(server.vm_state, {}).get(state)
    was_off = server.vm_state == Vm.RESIZED and server.power_state != PowerState.RUNNING
    if action is not None and host.options.resume_guests_on_boot and not was_off:
        build = msgspec.structs.replace(row, action=action)
        await manager.act(ctx, models.ServerRef(build=build, request_id=row.request_id, action=action), by_itself=True)
    else:
        await _report_power(manager, ctx, server)


async def remove_leftovers(manager: ComputeManager, ctx: RequestContext) -> list[str]:
    """Remove guests and disks of servers that were deleted while this host was down; their ids. Only what the conductor
    knows to be deleted goes: a server that the conductor does not know is left for `kilonova verify` to name."""
    host = manager.host
    ours = {guest.uuid for guest in await host.driver.guests()} | await host.driver.disks.servers()
    asked = sorted(ours - manager.busy.keys())
    if not asked:
        return []
    gone = await host.conductor.deleted_servers(ctx, asked)
    await _name_strangers(manager, ctx, set(asked) - set(gone))
    for uuid in set(gone) & ours - manager.busy.keys():
        logger.warning("removing leftovers of a deleted server", server=uuid, host=host.name)
        manager.begin(uuid, partial(_told, partial(_remove, manager, uuid), host.name, uuid))
    return sorted(gone)


async def _name_strangers(manager: ComputeManager, ctx: RequestContext, found: set[str]) -> None:
    """What is here without being this host's is left alone, but not in silence."""
    host = manager.host
    if found:
        found -= {row.server.uuid for row in await host.conductor.servers_on_host(ctx, host.name)}
        found -= {gone.server_uuid for gone in await host.conductor.departed_servers(ctx, host.name)}
    for uuid in sorted(found - manager.busy.keys()):
        logger.warning("leftovers kept: the server is not known as deleted", server=uuid, host=host.name)


async def _remove(manager: ComputeManager, uuid: str) -> None:
    """Its ports went with the row, and the network agent keeps no tap without a port."""
    await remove_guest(manager.host, uuid)
    await manager.host.driver.disks.remove(uuid)
