"""Requests to shelve a server, and to bring it back: on its host while that still has it, else on any."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.peers import ImageReader
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state, sender
from kilonova.compute.resources.server_actions.snapshots import SnapshotLogic
from kilonova.compute.resources.servers.errors import UnknownImage
from kilonova.compute.resources.servers.launch.image import resolve_image
from kilonova.compute.states import Vm
from kilonova.compute.store import aggregates, request_specs
from kilonova.compute.store import hypervisors as nodes
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried

NAME = "{name}-shelved"


class ShelvingLogic:
    def __init__(self, actions: ActionLogic, snapshots: SnapshotLogic, images: ImageReader) -> None:
        self.actions, self.snapshots, self.images = actions, snapshots, images
        self.database, self.options = actions.database, actions.options

    async def shelve(self, ctx: RequestContext, row: ServerRow) -> None:
        if await self.snapshots.volume_backed(row.uuid):  # nothing of its root disk is on a host
            await self.actions.on_host(ctx, row.uuid, "shelve")
            return
        name = NAME.format(name=row.name)[:255]
        await self.snapshots.begin(ctx, row, "shelve", name, {"image_type": "snapshot"}, shelves=True)

    async def unshelve(
        self, ctx: RequestContext, row: ServerRow, *, host: str | None = None, zone: str | None = None,
        zone_given: bool = False,
    ) -> None:  # fmt: skip
        """`host` and `zone` (None: any) are for servers that are on no host. Raises InvalidState, ServerLocked, WhereWhileOnHost,
        ShelvedImageMissing and what is wrong with the place."""
        check_lock(ctx, row)
        check_state(row, ACTIONS["unshelve"])
        if row.vm_state == Vm.SHELVED:
            if host is not None or zone_given:
                raise errors.PlaceWhileOnHost(server_id=row.uuid, status="shelved")
            await self.actions.on_host(ctx, row.uuid, "unshelve")
            return
        async with self.database.reading() as connection:
            spec = await request_specs.get(connection, row.uuid)
            if spec is None or (spec.shelved_image is None and not spec.volume_backed):
                raise errors.NotReady(server_id=row.uuid)
            zone = zone if zone_given else spec.availability_zone
            await self._check_place(connection, host, zone, zone_given=zone_given)
        image = await self._image(ctx, spec.shelved_image) if spec.shelved_image is not None else None
        await self._launch(ctx, row, image, host, zone)

    async def _image(self, ctx: RequestContext, image_id: str) -> models.Image:
        try:
            return await resolve_image(self.images, ctx, image_id)
        except UnknownImage:
            raise errors.ShelvedImageMissing(image=image_id) from None

    async def _check_place(
        self, connection: Connection, host: str | None, zone: str | None, *, zone_given: bool
    ) -> None:
        default = self.options.default_availability_zone
        zones = await aggregates.host_zones(connection)
        if zone_given and zone is not None and zone != default and zone not in zones.values():
            raise errors.ZoneNotAvailable
        if host is None:
            return
        if not await nodes.find(connection, host=host, hostname=None):
            raise errors.UnknownHost(host=host)
        if zone is not None and zones.get(host, default) != zone:
            raise errors.HostNotInZone(host=host, zone=zone)

    @retried
    async def _launch(
        self, ctx: RequestContext, row: ServerRow, image: models.Image | None, host: str | None, zone: str | None
    ) -> None:
        """To be scheduled anew, as if it were new."""

        def placed(spec: models.RequestSpec) -> None:
            spec.disk_from, spec.availability_zone, spec.requested_host = image, zone, host
            spec.force_host = spec.force_node = None
            spec.ignore_hosts, spec.alternates, spec.attempts = [], [], 0
            spec.failed_hosts, spec.failed_details = {}, {}

        async with self.database.transaction() as tx:
            taken = await self.actions.take(tx, ctx, row.uuid, "unshelve")
            if taken.vm_state != Vm.SHELVED_OFFLOADED:
                raise errors.NotReady(server_id=row.uuid)
            await self.actions.change_spec(tx.connection, taken, placed)
            await tx.outbox(ConductorAPI).build_servers(sender(ctx), [row.uuid], ctx.request_id)
            self.actions.events.action_began(tx, ctx, taken, "unshelve")
