"""Where a guest on this host comes from: it is new, it comes from another host, or it is already here. What differs between
them while it is brought up, and when that fails, is said here alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kilonova.compute.actions import registry  # not what is in it: actions of packages import this while it is filled
from kilonova.compute.agent.ports import expect_guest, free_ports, give_back_ports, release_ports
from kilonova.compute.agent.removal import forget_guest, remove_guest
from kilonova.compute.models import Move, NetworkRequest, ServerBuild, ServerChange, Vif
from kilonova.compute.moves import KINDS, Leg
from kilonova.compute.port_ids import port_id_of
from kilonova.compute.states import BUILD_TASKS, UNSHELVE_SHOWS, UNSHELVE_TASKS, Task, Vm
from kilonova.compute.steps import COME_BACK, LAND, LAUNCH, LEAVE, RECEIVE, SEND, TAKE_OVER, WITHDRAW, Step, shut_off
from kilonova.compute.virt.capabilities import LiveMigrates
from kilonova.core.context import RequestContext

if TYPE_CHECKING:
    from kilonova.compute.agent.runner import Host


SHARED_AFTER_ALL = "block migration was asked for, and the server's disks are on storage that both hosts use"
NOT_SHARED = "block migration was not asked for, and the server's disks are not on storage that both hosts use"


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
        action = registry.ACTIONS.get(self.build.action)
        tasks = [*action.tasks] if action is not None and action.shows else None
        return ServerChange(expect_host=host, expect_task_states=tasks, **values)

    def shows(self, task_state: str) -> str | None:
        """What a client sees where a step shows `task_state`; None: what it saw before."""
        action = registry.ACTIONS.get(self.build.action)
        return action.shows.get(task_state) if action is not None else None

    def vifs(self) -> list[Vif]:
        """Those that are known before the first step."""
        return []

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


class Renewed(Origin):
    """A server that is here and gets new disks."""

    has_old_disks = False


class Unshelved(Origin):
    """A server that was on no host, and has its disk from an image."""

    is_new = True
    has_old_disks = False

    def expected(self, host: str, **values: Any) -> ServerChange:
        return ServerChange(
            expect_host=host, expect_vm_states=[Vm.SHELVED_OFFLOADED], expect_task_states=[*UNSHELVE_TASKS], **values
        )

    def shows(self, task_state: str) -> str | None:
        return UNSHELVE_SHOWS.get(Task(task_state))

    def wanted_ports(self) -> dict[str, NetworkRequest]:
        """Those that the server has: a user may have deleted one since, or attached another."""
        asked = super().wanted_ports()
        held = [vif.port_id for vif in self.build.server.network_info]
        return {port_id: asked.get(port_id) or NetworkRequest(port_id=port_id) for port_id in held}

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        await free_ports(host, self.build)
        await host.unplug(ctx, self.build.server.uuid, [vif.port_id for vif in self.build.server.network_info])

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        await remove_guest(host, self.build.server.uuid)
        await self.leave_ports(host, RequestContext(request_id=self.build.request_id), vifs)
        await host.driver.disks.remove(self.build.server.uuid)


class Arriving(Origin):
    """A server that comes from another host."""

    is_new = True
    coming: tuple[Step, ...] = LAUNCH

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build)
        self._move, self._kind = move, KINDS[move.kind]
        self.move = move.migration
        self.has_old_disks = bool(move.shared)
        self.steps = shut_off(self.coming) if move.stopped else self.coming

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


class TakingOver(Arriving):
    """A server that comes from another host with its disks, or to the same host with another flavor."""

    coming = TAKE_OVER

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.has_old_disks = True

    async def check_disks(self, host: Host) -> str | None:
        present = await host.driver.disks.present(self.build.server.uuid)
        return "the server's disk is on this host's storage already" if present else None

    def wanted_ports(self) -> dict[str, NetworkRequest]:
        """All that the server has, however it got them."""
        held = {vif.port_id: NetworkRequest(port_id=vif.port_id) for vif in self.build.server.network_info}
        return held | super().wanted_ports()

    async def discard_disks(self, host: Host) -> None:
        """Those that were taken over. On storage that both hosts use they are the old host's once it has put them back."""
        aside = self._move.migration if self._move.shared else None
        await host.driver.disks.discard(self.build.server.uuid, aside=aside)

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        await remove_guest(host, self.build.server.uuid)
        await self.leave_ports(host, RequestContext(request_id=self.build.request_id), vifs)
        await self.discard_disks(host)


class _Known(Arriving):
    """A server that is, or was, here: its disks are, be they set aside."""

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.has_old_disks = True

    async def check_disks(self, host: Host) -> str | None:
        return None

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        """They stay as they are: the next leg binds them."""

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """Nothing goes: what is left of a deleted server its deletion removes."""


class Leaving(_Known):
    """A server that leaves this host. What was begun is not undone: the way back to the host does all of it."""

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.steps = LEAVE

    def vifs(self) -> list[Vif]:
        return list(self.build.server.network_info)

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """The move was cut off: its disks are where the server looks for them, unless it has others by now."""
        await host.driver.disks.put_back(self.build.server.uuid)


class Withdrawing(Leaving):
    """A server that is given up here, because its user wants it back where it was."""

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.steps = WITHDRAW

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """Nothing: a move that was cut off here leaves what is left to the server's next action."""


class Returning(_Known):
    """A server that is back on its old host, as it was."""

    coming = COME_BACK

    def wanted_ports(self) -> dict[str, NetworkRequest]:
        held = {vif.port_id: NetworkRequest(port_id=vif.port_id) for vif in self.build.server.network_info}
        return held | super().wanted_ports()


class Receiving(Arriving):
    """A server whose guest runs on another host, and is about to come."""

    coming = RECEIVE

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.has_old_disks = True

    def vifs(self) -> list[Vif]:
        return list(self.build.server.network_info)

    async def check_disks(self, host: Host) -> str | None:
        shared, block = bool(self._move.shared), self._move.block
        if block is not None and block == shared:
            return SHARED_AFTER_ALL if shared else NOT_SHARED
        if not shared and await host.driver.disks.present(self.build.server.uuid):
            return "the server's disk is on this host's storage already"
        return None

    async def leave_ports(self, host: Host, ctx: RequestContext, vifs: Sequence[Vif]) -> None:
        await expect_guest(host, self.build, "")
        await host.unplug(ctx, self.build.server.uuid, [vif.port_id for vif in self.build.server.network_info])

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        await forget_guest(host, self.build.server.uuid, self._move.migration)
        await super().remove(host, vifs)


class Sending(Leaving):
    """A server whose guest is sent to another host."""

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.steps = SEND

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """The move was cut off: what is still under way ends."""
        if isinstance(host.driver, LiveMigrates):
            await host.driver.give_up(self.build.server.uuid)


class Landed(Leaving):
    """A server whose guest has come here: it is this host's, however that ends."""

    def __init__(self, build: ServerBuild, move: Move) -> None:
        super().__init__(build, move)
        self.steps = LAND

    async def remove(self, host: Host, vifs: Sequence[Vif]) -> None:
        """Nothing."""


MOVING: dict[Leg, type[Arriving]] = {
    Leg.LEAVE: Leaving, Leg.ARRIVE: TakingOver, Leg.WITHDRAW: Withdrawing, Leg.RETURN: Returning,
}  # fmt: skip
"""Of kinds that bring their disks along."""
LIVE: dict[Leg, type[Arriving]] = {Leg.RECEIVE: Receiving, Leg.SEND: Sending, Leg.ARRIVE: Landed}
"""Of guests that run on meanwhile."""
ORIGINS: dict[str, type[Origin]] = {"create": Created, "rebuild": Renewed}


def origin_of(build: ServerBuild) -> Origin:
    if build.move is not None:
        kind, leg = KINDS[build.move.kind], Leg(build.move.leg)
        origin = LIVE[leg] if kind.live else MOVING[leg] if kind.leaves else Arriving
        return origin(build, build.move)
    if build.action == "unshelve" and build.server.vm_state == Vm.SHELVED_OFFLOADED:
        return Unshelved(build)
    return ORIGINS.get(build.action, Origin)(build)
