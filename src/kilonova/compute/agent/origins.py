"""Where a guest on this host comes from: it is new, it comes from another host, or it is already here. What differs between
them while it is brought up, and when that fails, is said here alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.ports import give_back_ports, release_ports
from kilonova.compute.agent.removal import remove_guest
from kilonova.compute.models import Move, NetworkRequest, ServerBuild, ServerChange, Vif
from kilonova.compute.moves import KINDS
from kilonova.compute.port_ids import port_id_of
from kilonova.compute.states import BUILD_TASKS, Task, Vm
from kilonova.compute.steps import LAUNCH, SHUT_OFF, Step
from kilonova.core.context import RequestContext

if TYPE_CHECKING:
    from kilonova.compute.agent.runner import Host


class Origin:
    """`is_new`: undoing leaves nothing of the guest here. `has_old_disks`: it comes back to disks that it had before. `move` is
    the migration's uuid, where there is one."""

    is_new = False
    has_old_disks = True
    move: str | None = None
    steps: tuple[Step, ...] = LAUNCH

    def __init__(self, build: ServerBuild) -> None:
        self.build = build

    def expected(self, host: str, **values: Any) -> ServerChange:
        """A change that applies while the server is to be brought up here, or the action to be done."""
        action = ACTIONS.get(self.build.action)
        tasks = [*action.tasks] if action is not None and action.shows else None
        return ServerChange(expect_host=host, expect_task_states=tasks, **values)

    def shows(self, task_state: str) -> str | None:
        """What a client sees where a step shows `task_state`; None: what it saw before."""
        action = ACTIONS.get(self.build.action)
        return action.shows.get(task_state) if action is not None else None

    async def check_disks(self, host: Host) -> str | None:
        """What is wrong with the disks that are here before anything is made."""
        return None

    def wanted_ports(self) -> dict[str, NetworkRequest]:
        """Port → what was asked for."""
        return {port_id_of(self.build.server.uuid, n, want): want for n, want in enumerate(self.build.spec.networks)}

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        """Undo what was done to the ports for this host."""

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """Every trace of a server that was new here and by now is on another host or on none. Raises when something could not
        be removed."""


class Created(Origin):
    """A server that never was anywhere."""

    is_new = True
    has_old_disks = False

    def expected(self, host: str, **values: Any) -> ServerChange:
        return ServerChange(
            expect_host=host, expect_vm_states=[Vm.BUILDING], expect_task_states=[None, *BUILD_TASKS], **values
        )

    def shows(self, task_state: str) -> str | None:
        return task_state

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        await release_ports(host, ctx, self.build, vifs, moved=True)

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        await remove_guest(host, self.build.server.uuid)
        await release_ports(host, RequestContext(request_id=self.build.request_id), self.build, vifs, moved=True)
        await host.driver.disks.remove(self.build.server.uuid)


class Arriving(Origin):
    """A server that comes from another host."""

    is_new = True

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build)
        self._move, self._kind = move, KINDS[move.kind]
        self.move = move.migration
        self.has_old_disks = bool(move.shared)
        self.steps = SHUT_OFF if move.stopped else LAUNCH

    def expected(self, host: str, **values: Any) -> ServerChange:
        return ServerChange(expect_host=host, expect_move=self.move, expect_task_states=[*self._kind.tasks], **values)

    def shows(self, task_state: str) -> str | None:
        return self._kind.shows.get(Task(task_state))

    async def check_disks(self, host: Host) -> str | None:
        """Disks on shared storage are there before; others are not."""
        if await host.driver.disks.present(self.build.server.uuid) == self._move.shared:
            return None
        there = "is not on this host's storage" if self._move.shared else "is on this host's storage already"
        return f"the server's disk {there}"

    def wanted_ports(self) -> dict[str, NetworkRequest]:
        """Only those that the server still has: a user may have deleted one since."""
        kept = {vif.port_id for vif in self.build.server.network_info}
        return {port_id: want for port_id, want in super().wanted_ports().items() if port_id in kept}

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        await give_back_ports(host, ctx, self.build, self._move.source)

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """Guest, wiring, disks unless they are shared; the ports are bound to the old host again."""
        await remove_guest(host, self.build.server.uuid)
        await self.leave_ports(host, RequestContext(request_id=self.build.request_id), vifs)
        if self._move.shared is False:
            await host.driver.disks.remove(self.build.server.uuid)


def origin_of(build: ServerBuild) -> Origin:
    if build.move is not None:
        return Arriving(build, build.move)
    return Created(build) if build.action == "create" else Origin(build)
