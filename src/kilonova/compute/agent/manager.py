"""The compute agent's bus side: one task at a time for each server, builds bounded, every end reported."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from kilonova.compute import models
from kilonova.compute.actions.base import Runs
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent import actions, moves
from kilonova.compute.agent.consoles import Consoles
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.agent.origins import origin_of
from kilonova.compute.agent.removal import remove_traces
from kilonova.compute.agent.runner import BACKOFF, Host, Operation, OperationFailed, Refused, outcome, run
from kilonova.compute.agent.steps import launch_steps
from kilonova.compute.agent.steps.interfaces import LET_GO
from kilonova.compute.diagnostics import GuestDiagnostics
from kilonova.compute.errors import InvalidState, NotSupported, PasswordNotSet
from kilonova.compute.virt.capabilities import (
    Diagnoses,
    LogsConsole,
    NoGuestAgent,
    PlugsInterfaces,
    SetsPasswords,
)
from kilonova.compute.virt.driver import STATE_NAMES, GuestNotFound, PowerState, VirtError
from kilonova.core import errors, log
from kilonova.core.context import RequestContext
from kilonova.core.retry import always, retry

logger = log.get("agent")
Work = Callable[[], Coroutine[Any, Any, None]]
"""Makes the coroutine when its turn has come: a task that is cancelled before that leaves none behind that nothing awaits."""


class ConsoleUnavailable(errors.NotFound):
    template = "Instance {server_id} has no console here: {reason}"


class ComputeManager(ComputeAPI):
    """`busy` holds each server's tasks: the first one works, the others wait for it. A deletion cancels all of them, everything
    else waits its turn."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.consoles = Consoles(host.driver, host.transfers.consoles, host.transfers.console_url)
        self.busy: dict[str, list[asyncio.Task[None]]] = {}
        self._parked: set[asyncio.Future[None]] = set()
        self.draining = False
        self._slots = asyncio.Semaphore(host.options.max_concurrent_builds)

    # ---- one task a server

    def begin(self, server_id: str, work: Work) -> asyncio.Task[None]:
        """Let `work` run after all that runs or waits for this server now."""
        tasks = self.busy.setdefault(server_id, [])
        task = asyncio.ensure_future(_in_turn(list(tasks), work))
        tasks.append(task)
        task.add_done_callback(partial(self._ended, server_id))
        return task

    def _ended(self, server_id: str, task: asyncio.Task[None]) -> None:
        self.busy[server_id].remove(task)
        if not self.busy[server_id]:
            del self.busy[server_id]

    async def _exclusively(self, server_id: str, work: Work) -> None:
        """Run `work` after whatever runs on this server; returns when it is done."""
        if self.draining:
            await self._park()
        task = self.begin(server_id, work)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for tasks in self.busy.values() for task in tasks]

    async def drain(self, seconds: float) -> None:
        """Let what runs here end, for at most so long; events that it waits for still come. New work is held back, and given
        back to the bus by `interrupt`."""
        self.draining = True
        if self.busy:
            await asyncio.wait(self._tasks(), timeout=seconds)

    async def _park(self) -> None:
        """Never returns."""
        parked = asyncio.get_running_loop().create_future()
        self._parked.add(parked)
        await parked

    def interrupt(self) -> None:
        """Cut off all work; the next start resumes it from the journal and the servers' rows."""
        for task in [*self._tasks(), *self._parked]:
            task.cancel()

    # ---- launches

    async def build_and_run_server(self, ctx: RequestContext, build: models.ServerBuild) -> None:
        """A repeated message waits for the first one's end, and is then refused."""
        await self._exclusively(build.server.uuid, partial(self.launch, ctx, build))

    async def arrive(self, ctx: RequestContext, build: models.ServerBuild) -> None:
        """What an earlier life of the server left here goes first, so that old disks are not taken for shared ones."""
        for gone in await moves.departed(self.host, ctx):
            if gone.server_uuid == build.server.uuid:
                await moves.forget(self.host, ctx, gone)
        await self.launch(ctx, await moves.settled(self.host, build))

    async def guests_departed(self, ctx: RequestContext) -> None:
        await self.forget_departed(ctx)

    async def forget_departed(self, ctx: RequestContext) -> list[str]:
        """Begin to remove the servers that were moved from this host to others, and only those; their ids. A failure is retried
        at the next look."""
        found = await moves.departed(self.host, ctx)
        for gone in found:
            self.begin(gone.server_uuid, partial(self._forget, ctx, gone))
        return [gone.server_uuid for gone in found]

    async def _forget(self, ctx: RequestContext, gone: models.Departed) -> None:
        """Unless it is on its way here again by now."""
        try:
            if gone in await moves.departed(self.host, ctx):
                await moves.forget(self.host, ctx, gone)
        except Exception as error:
            logger.error("removal failed", server=gone.server_uuid, host=self.host.name, exc_info=error)

    async def launch(self, ctx: RequestContext, build: models.ServerBuild, *, resumes: int = 0) -> None:
        """Do a build from its first step and report its end. All steps are idempotent, so that a build cut off by a crash
        is taken up by doing it again."""
        host = self.host
        operation = Operation(host=host, ctx=ctx, build=build, resumed=resumes > 0)
        failure: OperationFailed | None = None
        async with self._slots:
            run_name = host.journal.open_run(host.name, build, resumes=resumes)
            try:
                await run(operation, launch_steps(build), run_name)
            except Refused as refusal:
                logger.info("build refused", server=build.server.uuid, reason=str(refusal))
                self.settle(build, run_name, undone=refusal.undone)
                return
            except OperationFailed as failed:
                failure = failed
            await self._report(operation, run_name, failure)

    async def _report(self, operation: Operation, run_name: str, failure: OperationFailed | None) -> None:
        """Step 21: report to the conductor, retried until it answers; the journal's run stays open until then."""
        host = self.host
        record = host.journal.begin(host.name, run_name, operation.build, "active") if failure is None else None
        await host.faults.point("active", "before", host=host.name)
        if record is not None:
            host.journal.end(run_name, record, "Success")
        ended = outcome(operation, host.journal.steps(run_name), failure)
        accepted = await host.ask_conductor(
            lambda: host.conductor.build_ended(operation.ctx, ended), server=operation.uuid
        )
        await host.faults.point("active", "after", host=host.name)
        if not accepted and failure is None:
            await operation.origin.remove(host, operation.vifs)
        self.settle(operation.build, run_name, undone=failure is None or failure.undone)

    def settle(self, build: models.ServerBuild, run_name: str, *, undone: bool) -> None:
        """The journal's run ends: now, or when what could not be undone is gone, be it by a later process."""
        if undone:
            self.host.journal.close_run(self.host.name, run_name)
        else:
            self.begin(build.server.uuid, partial(self._clear, build, run_name))

    async def _clear(self, build: models.ServerBuild, run_name: str) -> None:
        await self._until_removed(build.server.uuid, lambda: origin_of(build).remove(self.host, []))
        self.host.journal.close_run(self.host.name, run_name)

    # ---- the rest of a server's life

    async def run_action(self, ctx: RequestContext, ref: models.ServerRef) -> None:
        server_id, action = ref.build.server.uuid, ACTIONS.get(ref.action)
        if action is None:  # of a release or a package that is not installed here
            await self.report_action(ctx, ref, actions.unknown(self.host, ref))
            return
        if action.runs is Runs.REMOVAL and not self.draining:
            for task in self.busy.get(server_id, []):
                task.cancel()
        work = {
            Runs.HOST: partial(self.act, ctx, ref),
            Runs.REMOVAL: partial(self.terminate, ctx, ref),
            Runs.MOVE: partial(self.arrive, ctx, ref.build),
        }
        await self._exclusively(server_id, work[action.runs])

    async def terminate(self, ctx: RequestContext, ref: models.ServerRef) -> None:
        """Remove every trace, then report; open runs of this server end here."""
        host = self.host
        build = ref.build
        await self._until_removed(build.server.uuid, lambda: remove_traces(host, build))
        for name, held in host.journal.unfinished(host.name).items():
            if held.build.server.uuid == ref.build.server.uuid:
                host.journal.close_run(host.name, name)
        await host.ask_conductor(lambda: host.conductor.server_deleted(ctx, ref.build.server.uuid, ref.request_id))

    async def _until_removed(self, server_id: str, remove: Callable[[], Awaitable[None]]) -> None:
        """Retry until it succeeds. A repeated deletion interrupts the pause."""
        await retry(
            remove, BACKOFF, again=always, clock=self.host.clock, log=logger, traceback=True,
            work="remove a server", server=server_id, host=self.host.name,
        )  # fmt: skip

    async def act(self, ctx: RequestContext, ref: models.ServerRef, *, by_itself: bool = False) -> None:
        """Do an action on a server that is here, and report how it ended. A message that comes again when its action has ended
        does nothing; an action that the host begins `by_itself` is on no row."""
        if not by_itself and not await self._wanted(ctx, ref):
            logger.info("action no longer wanted", action=ref.action, server=ref.build.server.uuid, host=self.host.name)
            result = actions.Result(models.ServerChange(expect_host=self.host.name))
        else:
            result = await actions.act(self.host, ctx, ref)
        await self.report_action(ctx, ref, result)

    async def report_action(self, ctx: RequestContext, ref: models.ServerRef, result: actions.Result) -> None:
        await self.host.ask_conductor(
            lambda: self.host.conductor.action_ended(
                ctx, ref.build.server.uuid, ref.request_id, ref.action, result.change, result.fault, result.steps
            )
        )

    async def _wanted(self, ctx: RequestContext, ref: models.ServerRef) -> bool:
        """Where clients see no task_state, whether the action has ended decides."""
        waiting, done = models.ServerChange(expect_host=self.host.name), ACTIONS[ref.action]
        if done.task is None:
            waiting.expect_open = ref.request_id
        else:
            waiting.expect_task_states = [*done.tasks]
        return await self.host.ask_conductor(
            lambda: self.host.conductor.update_server(ctx, ref.build.server.uuid, waiting)
        )

    # ---- guests on their way

    async def guest_needs(self, ctx: RequestContext, server_id: str) -> dict[str, str]:
        return await moves.guest_needs(self.host, server_id)

    async def wishes_changed(self, ctx: RequestContext, server_id: str) -> None:
        self.host.wishes.changed(server_id)

    # ---- consoles, events, verify

    async def console_output(self, ctx: RequestContext, server_id: str, max_bytes: int) -> bytes:
        driver = self.host.driver
        if not isinstance(driver, LogsConsole):
            raise NotSupported()
        try:
            return await driver.console_log(server_id, max_bytes=max_bytes)
        except GuestNotFound as error:
            raise ConsoleUnavailable(server_id=server_id, reason=str(error)) from None

    async def find_console(self, ctx: RequestContext, server_id: str, kind: str) -> models.ConsolePlace:
        return await self.consoles.find(server_id, kind)

    async def open_console(self, ctx: RequestContext, server_id: str, kind: str, life: str) -> models.ConsoleTicket:
        return await self.consoles.open(server_id, kind, life)

    async def diagnostics(self, ctx: RequestContext, server_id: str) -> GuestDiagnostics:
        driver = self.host.driver
        if not isinstance(driver, Diagnoses):
            raise NotSupported()
        state = await driver.power_state(server_id)
        if state is not PowerState.RUNNING:
            raise InvalidState(
                action="get_diagnostics", server_id=server_id, attribute="power state", state=STATE_NAMES[state]
            )
        return await driver.diagnostics(server_id)

    async def set_password(self, ctx: RequestContext, server_id: str, user: str, password: str) -> None:
        driver = self.host.driver
        if not isinstance(driver, SetsPasswords):
            raise NotSupported()
        try:
            await driver.set_password(server_id, user, password)
        except NoGuestAgent:
            raise PasswordNotSet(server_id=server_id, reason="its guest agent does not answer") from None
        except VirtError as error:
            logger.warning("password not set", server=server_id, host=self.host.name, error=str(error))
            raise PasswordNotSet(server_id=server_id, reason="error setting admin password") from None

    async def external_events(self, ctx: RequestContext, events: list[models.ExternalEvent]) -> None:
        for event in events:
            self.host.events.arrived(event)

    async def drop_interfaces(self, ctx: RequestContext, server_id: str, macs: dict[str, str]) -> None:
        driver = self.host.driver
        if isinstance(driver, PlugsInterfaces):
            for port_id, mac in macs.items():
                await self._drop_interface(driver, server_id, port_id, mac)

    async def _drop_interface(self, driver: PlugsInterfaces, server_id: str, port_id: str, mac: str) -> None:
        """What a guest does not let go of has no filters and no network any more, and is not there after its next start."""
        try:
            if await driver.detach_interface(server_id, mac, timeout=LET_GO):
                return
            reason = "the guest does not let go of it"
        except GuestNotFound:
            return
        except VirtError as error:
            reason = str(error)
        logger.warning("interface of a port that is gone stays", server=server_id, port=port_id, reason=reason)

    async def inventory(self, ctx: RequestContext) -> dict[str, list[str]]:
        driver = self.host.driver
        guests = await driver.guests()
        return {
            "guests": sorted(guest.uuid for guest in guests),
            "running": sorted(guest.uuid for guest in guests if guest.power_state is PowerState.RUNNING),
            "disks": sorted(await driver.disks.servers()),
            "storage": [storage] if (storage := await driver.disks.storage()) else [],
            "journal": sorted({r.build.server.uuid for r in self.host.journal.unfinished(self.host.name).values()}),
        }


async def _in_turn(ahead: list[asyncio.Task[None]], work: Work) -> None:
    if ahead:
        await asyncio.wait(ahead)
    await work()
