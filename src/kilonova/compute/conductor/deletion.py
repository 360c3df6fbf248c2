"""The end of a server: the claim goes first, then the row. A process that dies between the two does both again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps, logger, on_behalf
from kilonova.compute.conductor.images import Images
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.ports import Ports
from kilonova.compute.conductor.volumes import Volumes
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import builds, pending_casts, request_specs
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store.conductor_servers import OwnedRow, SpecifiedRow
from kilonova.core import errors
from kilonova.core.batching import Batched
from kilonova.core.context import RequestContext
from kilonova.core.db import retried


class Deletion:
    def __init__(self, deps: Deps, ports: Ports, images: Images, volumes: Volumes) -> None:
        self.deps, self.ports, self.images, self.volumes = deps, ports, images, volumes
        self._ended = Batched(self._all_ended)

    async def deleted(self, uuid: str, request_id: str, *, by: str | None = None) -> None:
        """The host has removed all traces, or there never were any. `by` is the host that reports so, where the bus has
        authenticated its name: reports about another host's servers are refused."""
        await self._ended((uuid, request_id, by))

    async def _all_ended(self, asked: Sequence[tuple[str, str, str | None]]) -> list[errors.KilonovaError | None]:
        requests = {uuid: request_id for uuid, request_id, _ in asked}
        async with self.deps.database.reading() as connection:
            rows = await store.get_many(connection, requests)
        valid = {uuid for uuid, _, by in asked if uuid in rows and _may_report(rows[uuid], by)}
        ending = {uuid: row for uuid, row in rows.items() if uuid in valid and _is_ending(row)}
        held = await self._release_volumes(ending)
        ending = {uuid: row for uuid, row in ending.items() if uuid not in held}
        if ending:
            owners = {uuid: (row.project_id, row.user_id) for uuid, row in ending.items()}
            await self.deps.placement.release_many(owners)
            await self._forget(ending, requests)
        return [held.get(uuid) for uuid, _, _ in asked]

    async def _release_volumes(self, ending: Mapping[str, SpecifiedRow]) -> dict[str, errors.KilonovaError]:
        """Before their rows go, which name them; those whose volumes can't be let go of now are not deleted yet."""
        held = {}
        for uuid, row in ending.items():
            try:
                await self.volumes.release(row)
            except errors.KilonovaError as error:
                logger.warning("deletion waits for the volume service", server=uuid, error=error.message)
                held[uuid] = error
        return held

    @retried
    async def _forget(self, ending: Mapping[str, SpecifiedRow], requests: Mapping[str, str]) -> None:
        async with self.deps.database.transaction() as tx:
            now = self.deps.now()
            gone = await store.mark_deleted(tx.connection, list(ending), now)
            if gone:
                await store.finish_actions(tx.connection, gone, ["delete", "create"], now, failed="create")
            for uuid in gone:
                if (spec := ending[uuid].spec) is not None:
                    await self.images.server_gone(tx, request_specs.decode(spec), requests[uuid])
                building = ending[uuid].vm_state == Vm.BUILDING
                self.deps.events.gone(tx, ending[uuid], now, requests[uuid], building=building)

    async def unhosted(self, ctx: RequestContext, uuid: str, request_id: str) -> None:
        """Delete a server without a host, or whose host may never have got its build. One that was given to a host meanwhile is
        terminated there. Where the host is down the server is deleted here, with its ports; the host removes its part when
        it is up again."""
        async with self.deps.database.reading() as connection:
            row = await store.get(connection, uuid)
            if row is None or row.deleted or row.task_state != Task.DELETING:
                return
            alive = row.host is not None and bool(await self.deps.alive(connection, [row.host]))
        if alive:
            await self._terminate(ctx, row, request_id)
        else:
            await self._without_host(uuid, row.host, request_id, has_ports=bool(row.network_info))

    async def finish(self, grace: float) -> None:
        """End deletions older than `grace` seconds that no host will end."""
        async with self.deps.database.reading() as connection:
            rows = await store.deleting(connection, self.deps.ago(grace))
            hosts = {row.host for row in rows if row.host is not None}
            alive = await self.deps.alive(connection, hosts)
        for row in rows:
            if row.host not in alive:
                await self._without_host(row.uuid, row.host, "", has_ports=bool(row.network_info))

    async def reclaim(self, interval: float) -> None:
        """Delete servers for good that were deleted and kept for `interval` seconds; 0: none."""
        if not interval:
            return
        async with self.deps.database.reading() as connection:
            found = await store.reclaimable(connection, self.deps.ago(interval))
        for row in found:
            await self._reclaim(row)

    @retried
    async def _reclaim(self, row: OwnedRow) -> None:
        ctx = on_behalf("req-" + self.deps.clock.uuid(), row.project_id, row.user_id)
        still = [store.vm_in([Vm.SOFT_DELETED]), store.task_in([None])]
        async with self.deps.database.transaction() as tx:
            values = {"task_state": Task.DELETING, "updated_at": self.deps.now()}
            if await store.swap(tx.connection, row.uuid, still, values):
                logger.info("reclaiming a deleted server", server=row.uuid)
                await tx.outbox(ConductorAPI).delete_unhosted(ctx, row.uuid, ctx.request_id)

    async def _without_host(self, uuid: str, host: str | None, request_id: str, *, has_ports: bool) -> None:
        """A server that was shelved has ports, though no host, whatever an operator has made of its state since."""
        if host is not None:
            logger.warning("deleting a server whose host is down", server=uuid, host=host)
        if host is not None or has_ports:
            await self.ports.release(uuid)
        await self.deleted(uuid, request_id)
        if host is not None:
            async with self.deps.database.transaction() as tx:
                await pending_casts.drop_for_host(tx.connection, host, server_uuid=uuid)

    async def _terminate(self, ctx: RequestContext, row: SpecifiedRow, request_id: str) -> None:
        async with self.deps.database.transaction() as tx:
            build = await builds.build_of(tx.connection, row.uuid)
            if build is not None:
                build = self.deps.grants.granted(build, row.host)
                ref = models.ServerRef(build=build, request_id=request_id, action="delete")
                await tx.outbox(ComputeAPI, host=row.host).run_action(ctx, ref)


def _may_report(row: SpecifiedRow, by: str | None) -> bool:
    if by is not None and row.host != by:
        logger.warning("deletion refused: the server is on another host", sender=by, server=row.uuid, host=row.host)
        return False
    return True


def _is_ending(row: SpecifiedRow) -> bool:
    if not row.deleted and row.task_state != Task.DELETING:
        logger.warning(
            "deletion message ignored: the server is not marked for deletion",
            server=row.uuid,
            task_state=row.task_state,
        )
    return not row.deleted and row.task_state == Task.DELETING
