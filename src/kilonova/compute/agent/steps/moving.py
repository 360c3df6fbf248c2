"""A server that leaves its host with its disks, comes to another with them, or returns."""

from __future__ import annotations

from kilonova.compute.agent.origins import TakingOver
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.removal import remove_guest
from kilonova.compute.agent.runner import BACKOFF, Operation, OperationStep
from kilonova.compute.agent.transfers import SourceAway
from kilonova.compute.models import Move, RequestSpec
from kilonova.core import log
from kilonova.core.retry import retry

BESIDE = (
    2 << 30
)  # bytes: config drive, kernel and ramdisk, the console's log; a disk's own tables are a part of its size
logger = log.get("agent")


class Wanted(OperationStep):
    """Is this part of the move still to be done here? A message that comes late or again ends here."""

    asks = True


class SetAside(OperationStep):
    """The guest is off: no definition of it is left here, and its disks wait under the move's name. Those that an earlier move,
    which was cut off, had set aside are the server's."""

    async def do(self, operation: Operation) -> None:
        store, migration = operation.host.driver.disks, move_of(operation).migration
        await remove_guest(operation.host, operation.uuid)
        if without_disks(operation.build.spec):
            return
        if not await store.is_aside(operation.uuid, migration):
            await store.put_back(operation.uuid)
        await store.set_aside(operation.uuid, migration)


class TakeDisks(OperationStep):
    """A copy of the disks that were set aside, from this host's storage or from the old host."""

    async def do(self, operation: Operation) -> None:
        host, move = operation.host, move_of(operation)
        if without_disks(operation.build.spec):
            return
        if not await host.driver.disks.take_aside(operation.uuid, move.migration):
            await retry(
                lambda: self._copy(operation, move), BACKOFF, again=away, within=host.options.service_patience,
                clock=host.clock, log=logger, work="copy disks", server=operation.uuid, host=host.name,
            )  # fmt: skip

    @staticmethod
    async def _copy(operation: Operation, move: Move) -> None:
        """The old host may be starting, at another place than before."""
        host = operation.host
        url = await host.ask_conductor(lambda: host.conductor.disks_at(operation.ctx, host.name, move.migration))
        if not url:
            raise Explained("the server's old host serves no disks")
        stream = host.transfers.fetch(url, move.migration, move.secret)
        await host.driver.disks.unpack(operation.uuid, stream, most=_most(move))

    async def undo(self, operation: Operation) -> None:
        if isinstance(operation.origin, TakingOver):
            await operation.origin.discard_disks(operation.host)


def _most(move: Move) -> int | None:
    """Bytes that the disks of the old flavor may have in all: what they grow by is made here. None where the image says how large
    the root disk is."""
    flavor = move.old_flavor
    if flavor is None or not flavor.root_gb:
        return None
    disks = ((flavor.root_gb + flavor.ephemeral_gb) << 30) + (flavor.swap_mb << 20)
    return disks + disks // 16 + BESIDE


class PutBack(OperationStep):
    async def do(self, operation: Operation) -> None:
        await operation.host.driver.disks.put_back(operation.uuid, move_of(operation).migration)


class GiveUp(OperationStep):
    """Nothing of the server is left here but what was set aside."""

    async def do(self, operation: Operation) -> None:
        await remove_guest(operation.host, operation.uuid)
        await operation.host.driver.disks.discard(operation.uuid)


def without_disks(spec: RequestSpec) -> bool:
    """Whether hosts have no disk of the server that must come along: its root disk is a volume, and all others are made anew."""
    blanks = spec.flavor.ephemeral_gb if spec.ephemerals is None else len(spec.ephemerals)
    return spec.volume_backed and not blanks


def away(error: Exception) -> bool:
    return isinstance(error, SourceAway)


def move_of(operation: Operation) -> Move:
    move = operation.build.move
    assert move is not None  # noqa: S101 - for the type checker
    return move
