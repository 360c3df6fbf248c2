"""Requests to rescue a server: the image is looked up in the caller's name, the operator's on the service's own account."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.peers import ImageReader
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state
from kilonova.compute.resources.servers.launch.image import resolve_image
from kilonova.compute.store import request_specs
from kilonova.compute.store.servers import ServerRow
from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext

SERVED = {"hw_rescue_device": ("disk", "cdrom"), "hw_rescue_bus": ("virtio", "scsi", "sata")}
"""Property of an image → what guests can be given of it."""


class RescueLogic:
    def __init__(self, actions: ActionLogic, images: ImageReader) -> None:
        self.actions, self.images = actions, images

    async def rescue(
        self, ctx: RequestContext, row: ServerRow, *, image_id: str | None, admin_pass: str,
        of_volumes: bool = True,
    ) -> None:  # fmt: skip
        """`of_volumes`: the caller's microversion lets servers be rescued whose root disk is a volume. Raises
        UnsupportedRescueImage, VolumeBackedRescue, InvalidState, ServerLocked, NotReady."""
        check_lock(ctx, row)
        check_state(row, ACTIONS["rescue"])
        operators = self.actions.options.rescue_image_ref
        image = None
        if image_id is not None:
            image = await self._image(ctx, image_id)
        elif operators:
            image = await self._image(None, operators)
        elif of_volumes:
            image = await self._of_volume(ctx, row.uuid)

        def rescued(spec: models.RequestSpec) -> None:
            source = image or (None if spec.volume_backed else spec.image)
            if spec.volume_backed and not (of_volumes and source is not None and is_stable(source.properties)):
                raise errors.VolumeBackedRescue(server_id=row.uuid)
            if source is not None and not is_served(source.properties):
                raise errors.UnsupportedRescueImage(image=source.id)
            spec.rescue = models.Rescue(image=image, admin_pass=admin_pass)

        await self.actions.on_host(ctx, row.uuid, "rescue", change=rescued)

    async def _image(self, ctx: RequestContext | None, image_id: str) -> models.Image:
        try:
            return await resolve_image(self.images, ctx, image_id)
        except core_errors.BadRequest:
            raise errors.UnsupportedRescueImage(image=image_id) from None

    async def _of_volume(self, ctx: RequestContext, server_id: str) -> models.Image | None:
        """The image that a root volume was made of, None for other root disks. Users may write any image's id to a volume: it is
        looked up as if they had named it in the request."""
        async with self.actions.database.reading() as connection:
            spec = await request_specs.get(connection, server_id)
        if spec is None or not spec.volume_backed or spec.image is None:
            return None
        try:
            image_id = str(uuid.UUID(spec.image.id))
        except ValueError:
            return None
        return await self._image(ctx, image_id)

    async def unrescue(self, ctx: RequestContext, row: ServerRow) -> None:
        def as_it_was(spec: models.RequestSpec) -> None:
            spec.rescue = None

        await self.actions.on_host(ctx, row.uuid, "unrescue", change=as_it_was)


def is_stable(properties: Mapping[str, str]) -> bool:
    """Whether the image says as what kind of device it is to be beside the server's own disks."""
    return any(name in properties for name in SERVED)


def is_served(properties: Mapping[str, str]) -> bool:
    return all(properties.get(name, values[0]) in values for name, values in SERVED.items())
