"""One operation (a launch or an action) on one host: the state that its steps share, and the runner that does, journals and
undoes the steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from kilonova.compute.agent.events import EventBoard, PowerBoard, WishBoard
from kilonova.compute.agent.journal import Journal
from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.agent.origins import origin_of
from kilonova.compute.agent.reasons import Explained, details_of, reason_of
from kilonova.compute.agent.relay import Relay
from kilonova.compute.agent.transfers import DiskTransfers
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import BuildOutcome, ConnectedVolume, Fault, Place, ServerBuild, StepRecord, Vif
from kilonova.compute.steps import Step
from kilonova.compute.virt.disks import BaseImage, Export
from kilonova.compute.virt.driver import GuestDisk, PowerState, VirtDriver
from kilonova.core import errors, log
from kilonova.core.block.errors import ImageRefused
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.faults import Faults
from kilonova.core.grants import LIFE
from kilonova.core.retry import Backoff, retry, unanswered
from kilonova.image.client import ImageClient
from kilonova.network.agent.interface import NetworkAgentAPI
from kilonova.network.client import NetworkClient

BACKOFF = Backoff(0.2, 2.0)
logger = log.get("agent")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Host:
    """The dependencies of every operation on a host."""

    name: str
    options: AgentOptions
    driver: VirtDriver
    conductor: ConductorAPI
    wiring: NetworkAgentAPI  # the network agent of this host
    network: NetworkClient
    image: ImageClient
    events: EventBoard
    power: PowerBoard
    journal: Journal
    faults: Faults
    clock: Clock
    transfers: DiskTransfers = field(default_factory=DiskTransfers)
    relay: Relay = field(default_factory=Relay)
    wishes: WishBoard = field(default_factory=WishBoard)
    sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))  # guests to other hosts

    async def ask_conductor(self, ask: Callable[[], Awaitable[T]], **ids: Any) -> T:
        """Call the conductor until it answers; its methods are idempotent. `ids` are fields of the log lines."""
        return await retry(
            ask,
            BACKOFF,
            again=unanswered,
            clock=self.clock,
            log=logger,
            work="ask the conductor",
            host=self.name,
            **ids,
        )

    async def ask_service(self, ask: Callable[[], Awaitable[T]], **ids: Any) -> T:
        """Call another service, or the network agent, which may be restarting; raises its last error when it was unreachable
        for `service_patience` seconds."""
        within = self.options.service_patience
        return await retry(
            ask, BACKOFF, within=within, clock=self.clock, log=logger, work="ask another service", host=self.name, **ids
        )

    async def unplug(self, ctx: RequestContext, server: str, port_ids: Sequence[str]) -> None:
        """Wiring, leases and filters of a server's ports are gone from this host; nothing happens where there are none."""
        await self.ask_service(lambda: self.wiring.unplug(ctx, list(port_ids)), server=server)


@dataclass(kw_only=True)
class Operation:
    """The state that grows while the steps run."""

    host: Host
    ctx: RequestContext
    build: ServerBuild
    vifs: list[Vif] = field(default_factory=list)
    base: BaseImage | None = None
    disks: list[GuestDisk] = field(default_factory=list)
    volumes: list[ConnectedVolume] | None = None  # None: not asked for yet
    kernel: Path | None = None
    initrd: Path | None = None
    export: Export | None = None
    power_state: PowerState = PowerState.NOSTATE
    resumed: bool = False  # an earlier process began it
    shows: str | None = None  # the task_state that clients are to see
    complete: bool = False  # the steps that are left need not be done
    refused: bool = False  # the conductor said that the server is no longer to be built here
    reporting: asyncio.Task[None] | None = None
    place: Place | None = None  # where a guest of another host is awaited

    def __post_init__(self) -> None:
        self.origin = origin_of(self.build)
        self.granted_at = self.host.clock.monotonic()
        self.vifs = self.vifs or self.origin.vifs()

    @property
    def uuid(self) -> str:
        return self.build.server.uuid

    @cached_property
    def network(self) -> NetworkClient:
        """The network service, for this server."""
        return self.host.network.granted(self.build.grant)

    async def renew_grant(self) -> None:
        """Steps before may have taken hours; what may be asked of other services ends after one."""
        host, uuid, old = self.host, self.uuid, self.build.grant
        if not old or host.clock.monotonic() - self.granted_at < RENEW_AFTER:
            return
        grant = await host.ask_conductor(
            lambda: host.conductor.renew_grant(self.ctx, host.name, uuid, old), server=uuid
        )  # fmt: skip
        self.granted_at = host.clock.monotonic()
        if grant:
            self.build = msgspec.structs.replace(self.build, grant=grant)
            self.origin = origin_of(self.build)
            vars(self).pop("network", None)


SHOWN_AFTER = 0.1  # seconds
RENEW_AFTER = LIFE / 2


class OperationStep:
    """One step: `do` is idempotent, `undo` works whether `do` ran whole, in part or not at all, also in a new process."""

    step: Step  # what compute/steps.py says of it
    asks: ClassVar[bool] = False  # whether the server is to be built here, before it begins

    @property
    def name(self) -> str:
        return self.step.name

    async def do(self, operation: Operation) -> None:
        return None

    async def undo(self, operation: Operation) -> None:
        return None


class Refused(Exception):
    """This host may not do the build (any more): it was deleted, moved, done already. Nothing is reported."""

    undone = True  # False: something could not be undone


class CannotFit(Explained):
    """The host has less than its claim says."""


class NetworkNotReady(Explained):
    """A port did not become ready in time."""


class OperationFailed(Exception):
    """A step failed and all steps were undone, or not quite: then `undone` is False."""

    def __init__(self, fault: Fault, *, reschedule: bool, undone: bool = True) -> None:
        super().__init__(f"{fault.step}: {fault.reason}")
        self.fault, self.reschedule, self.undone = fault, reschedule, undone


ELSEWHERE_TOO = (ImageRefused, errors.NotFound, errors.BadRequest, errors.Conflict, errors.Forbidden)
"""Failures that another host would meet alike."""


async def run(operation: Operation, steps: Sequence[OperationStep], run_name: str) -> None:
    """Do the steps in order; on a failure undo in reverse and raise OperationFailed. Refused passes after undoing, except at
    the first step, where nothing is ours to undo."""
    try:
        await _run(operation, steps, run_name)
    finally:
        if operation.reporting is not None:
            operation.reporting.cancel()


async def _run(operation: Operation, steps: Sequence[OperationStep], run_name: str) -> None:
    begun: list[OperationStep] = []
    host = operation.host
    for step in steps:
        record = host.journal.begin(host.name, run_name, operation.build, step.name)
        begun.append(step)
        try:
            await _do(operation, step)
            host.journal.end(run_name, record, "Success")
            await host.faults.point(step.name, "after", host=host.name)
            if operation.complete:
                return
        except Refused as refusal:
            host.journal.end(run_name, record, "Undone", str(refusal))
            if len(begun) > 1:
                refusal.undone = await undo(operation, begun)
            raise
        except asyncio.CancelledError:
            host.journal.end(run_name, record, "Undone", "interrupted")
            raise
        except Exception as error:
            reason, details = reason_of(error, step.step), details_of(error)
            logger.warning("step failed", step=step.name, server=operation.uuid, host=host.name, exc_info=error)
            host.journal.end(run_name, record, "Error", details)
            undone = await undo(operation, begun)
            fault = Fault(step=step.name, reason=reason, details=details)
            raise OperationFailed(fault, reschedule=not isinstance(error, ELSEWHERE_TOO), undone=undone) from error


async def _do(operation: Operation, step: OperationStep) -> None:
    await operation.host.faults.point(step.name, "before", host=operation.host.name)
    if operation.refused:
        raise Refused(f"server {operation.uuid} is no longer to be built here")
    async with asyncio.timeout(step.step.deadline):
        await operation.renew_grant()
        task_state = step.step.task_state
        origin = operation.origin
        if step.asks and origin.is_new:
            await ask(operation, task_state)
        elif task_state is not None and (origin.is_new or origin.shows(task_state) is not None):
            show(operation, task_state)
        await step.do(operation)


async def ask(operation: Operation, task_state: str | None) -> None:
    """Show a task_state to clients, or what they saw before, if the server is to be built here; raises Refused when it is not."""
    if not await _reported(operation, task_state):
        raise Refused(f"server {operation.uuid} is not to be built here")


def show(operation: Operation, task_state: str) -> None:
    """Show a task_state to clients, unless the operation has already passed it."""
    operation.shows = task_state
    if operation.reporting is None:
        operation.reporting = asyncio.ensure_future(_report_shown(operation))


async def _report_shown(operation: Operation) -> None:
    await operation.host.clock.sleep(SHOWN_AFTER)
    reported = None
    while operation.shows is not None and operation.shows != reported:
        reported = operation.shows
        if not await _reported(operation, reported):
            operation.refused = True
            return
    operation.reporting = None


async def _reported(operation: Operation, task_state: str | None) -> bool:
    shown = operation.origin.shows(task_state) if task_state is not None else None
    host = operation.host
    change = operation.origin.expected(host.name, **({"task_state": shown} if shown is not None else {}))
    return await host.ask_conductor(
        lambda: host.conductor.update_server(operation.ctx, operation.uuid, change), server=operation.uuid
    )


async def undo(operation: Operation, begun: Sequence[OperationStep]) -> bool:
    """Undo in reverse order; one step that can't be undone doesn't keep the others from it, but makes the answer False."""
    undone = True
    for step in reversed(begun):
        try:
            async with asyncio.timeout(step.step.deadline):
                await step.undo(operation)
        except Exception as error:
            undone = False
            logger.error("undo failed", step=step.name, server=operation.uuid, host=operation.host.name, exc_info=error)
    return undone


def outcome(operation: Operation, steps: list[StepRecord], failure: OperationFailed | None) -> BuildOutcome:
    """The report to the conductor."""
    build = operation.build
    return BuildOutcome(
        server_uuid=build.server.uuid,
        request_id=build.request_id,
        attempt=build.attempt,
        host=operation.host.name,
        ok=failure is None,
        fault=failure.fault if failure is not None else None,
        reschedule=failure.reschedule if failure is not None else True,
        power_state=int(operation.power_state),
        network_info=operation.vifs,
        steps=steps,
        move=operation.origin.move,
        leg=build.move.leg if build.move is not None else "",
        shared=build.move is not None and bool(build.move.shared),
        place=operation.place,
    )
