"""Requests to resize, migrate, confirm and revert: checked, recorded and handed on at once."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.models import Flavor, Move
from kilonova.compute.moves import MIGRATION, RESIZE, Leg, MoveKind
from kilonova.compute.resources.flavors.logic import sees
from kilonova.compute.resources.quotas.counting import QuotaTracker
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, sender
from kilonova.compute.resources.server_actions.records import begin_move
from kilonova.compute.resources.servers.errors import UnknownFlavor
from kilonova.compute.states import Vm
from kilonova.compute.store import builds, migrations, records, services
from kilonova.compute.store import conductor_servers as endings
from kilonova.compute.store import flavors as flavor_store
from kilonova.compute.store import servers as store
from kilonova.compute.store.confirmations import confirm
from kilonova.compute.store.migrations import MigrationRow
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried

SMALLER = "its {what} of {now} GiB can't become {wanted} GiB"


class MoveLogic:
    def __init__(self, actions: ActionLogic) -> None:
        self.actions, self.database, self.clock = actions, actions.database, actions.clock
        self.options, self.events = actions.options, actions.events

    @retried
    async def resize(self, ctx: RequestContext, server_id: str, flavor_id: str, *, disk_config: str | None) -> None:
        """Raises InvalidState, UnknownFlavor, SameFlavor, DiskNotResizable, OverQuota."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, "resize")
            old = msgspec.convert(row.flavor, Flavor)
            found = await flavor_store.get(tx.connection, flavor_id, project_id=sees(ctx))
            if found is None or (found.disabled and found.flavorid != old.id):
                raise UnknownFlavor(flavor_id=flavor_id)
            new = records.flavor(found)
            if new.id == old.id:
                raise errors.SameFlavor
            check_disks(old, new)
            counted = await self._reserve(tx.connection, row, old, new)
            values = counted | ({"disk_config": disk_config} if disk_config is not None else {})
            await store.change(tx.connection, row.uuid, values, self.clock.row_time())
            await self._record(tx, ctx, row, RESIZE, old, new, same_host=self.options.allow_resize_to_same_host)

    async def _reserve(self, connection: Connection, row: ServerRow, old: Flavor, new: Flavor) -> dict[str, int]:
        """What the server counts for from now on until it is confirmed or back: the more of both flavors. Raises OverQuota."""
        more = {"instances": 0, "cores": new.vcpus - old.vcpus, "ram": new.memory_mb - old.memory_mb}
        tracker = QuotaTracker(connection, self.options.quotas)
        await tracker.enter([row.project_id])
        limits = await tracker.limits(row.project_id, row.user_id)
        tracker.fits(limits, (row.project_id, row.user_id), more, least=1, most=1)
        return {"vcpus": max(old.vcpus, new.vcpus), "memory_mb": max(old.memory_mb, new.memory_mb)}

    @retried
    async def migrate(self, ctx: RequestContext, server_id: str, target: str | None) -> None:
        """`target` None lets the scheduler choose. Raises InvalidState, UnknownTarget, SameHostMigration."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, "migrate")
            if target is not None and target == row.host:
                raise errors.SameHostMigration
            if target is not None and not await services.find(tx.connection, host=target, binary=services.COMPUTE):
                raise errors.UnknownTarget(host=target)
            flavor = msgspec.convert(row.flavor, Flavor)
            await self._record(tx, ctx, row, MIGRATION, flavor, flavor, target=target)

    async def _record(
        self, tx: Transaction, ctx: RequestContext, row: ServerRow, kind: MoveKind, old: Flavor, new: Flavor,
        *, target: str | None = None, same_host: bool = False,
    ) -> None:  # fmt: skip
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        move = Move(
            kind=kind.name, migration=self.clock.uuid(), source=row.host, target=target, same_host=same_host,
            stopped=row.vm_state == Vm.STOPPED, vm_state=row.vm_state, old_flavor=old, new_flavor=new,
            flavor_ids=await _numbers(tx.connection, old.id, new.id),
        )  # fmt: skip
        await begin_move(tx, ctx, self.clock, row, move)
        begun = {"task_state": "resize_prep", "new_flavor": msgspec.to_builtins(new)}
        self.events.send(tx, ctx, "resize.prep.start", row, begun, host=row.host)

    @retried
    async def confirm(self, ctx: RequestContext, server_id: str) -> None:
        """The server stays as it is; its old host removes what it kept. Raises InvalidState, NothingToConfirm."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, "confirmResize")
            record = await _waiting(tx.connection, row)
            now = self.clock.row_time()
            values = await confirm(tx.connection, row, record, now)
            if values is None:
                raise errors.NothingToConfirm
            await endings.finish_actions(tx.connection, [row.uuid], ["confirmResize"], now, request_id=ctx.request_id)
            await tx.outbox(ComputeAPI, host=record.source_compute).guests_departed(sender(ctx))
            for event in ("resize.confirm.start", "resize.confirm.end"):
                self.events.send(tx, ctx, event, row, values, host=row.host)

    @retried
    async def revert(self, ctx: RequestContext, server_id: str) -> None:
        """The server goes back to its old host, as it was. Raises InvalidState, NothingToConfirm."""
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, "revertResize")
            record = await _waiting(tx.connection, row)
            move = migrations.decode(record)
            move = msgspec.structs.replace(move, action="revertResize", leg=Leg.WITHDRAW, hops=move.hops + 1)
            values: dict[str, Any] = {
                "status": RESIZE.legs[Leg.WITHDRAW].status, "request_id": ctx.request_id,
                "document": migrations.encode(move), "updated_at": self.clock.row_time(),
            }  # fmt: skip
            if not await migrations.change(tx.connection, record.uuid, [migrations.FINISHED], values):
                raise errors.NothingToConfirm
            build = await builds.build_of(tx.connection, row.uuid)
            if build is None or row.host is None:
                raise errors.NotReady(server_id=row.uuid)
            build = msgspec.structs.replace(
                build, request_id=ctx.request_id, action="revertResize", attempt=move.hops, move=move
            )
            build = self.actions.grants.granted(build, row.host)
            ref = models.ServerRef(build=build, request_id=ctx.request_id, action="revertResize")
            await tx.outbox(ComputeAPI, host=row.host).run_action(sender(ctx), ref)
            self.events.send(tx, ctx, "resize.revert.start", row, {"task_state": "resize_reverting"}, host=row.host)


def check_disks(old: Flavor, new: Flavor) -> None:
    """Disks only grow. Raises DiskNotResizable."""
    if new.root_gb == 0 and old.root_gb != 0:
        raise errors.DiskNotResizable(reason="Resize to zero disk flavor is not allowed.")
    for what, now, wanted in (
        ("root disk", old.root_gb, new.root_gb),
        ("ephemeral disk", old.ephemeral_gb, new.ephemeral_gb),
    ):
        if wanted < now:
            raise errors.DiskNotResizable(reason=SMALLER.format(what=what, now=now, wanted=wanted))


async def _numbers(connection: Connection, old: str, new: str) -> tuple[int | None, int | None]:
    """Those of the flavors, where they still exist."""
    found = [await flavor_store.get(connection, flavor_id) for flavor_id in dict.fromkeys((old, new))]
    numbers = [row.id if row is not None else None for row in found]
    return numbers[0], numbers[-1]


async def _waiting(connection: Connection, row: ServerRow) -> MigrationRow:
    record = await migrations.waiting(connection, row.uuid, lock=True)
    if record is None:
        raise errors.NothingToConfirm
    return record
