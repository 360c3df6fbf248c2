"""Images of servers' disks: the record in the image service is made first, in the caller's name; then the server's host fills
it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import json

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.errors import NotBuiltYet, TooMany
from kilonova.compute.peers import ImageAccess
from kilonova.compute.resources.quotas.counting import limits_of
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic, check_lock, check_state
from kilonova.compute.store import block_devices, request_specs
from kilonova.compute.store.block_devices import VolumeRow
from kilonova.compute.store.servers import ServerRow
from kilonova.compute.volumes import SnapshotFacts, VolumeAccess
from kilonova.core import errors as core_errors
from kilonova.core import log
from kilonova.core.context import RequestContext

logger = log.get("compute")
NEVER = frozenset([
    "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy", "img_signature", "img_signature_hash_method",
    "img_signature_key_type", "img_signature_certificate_uuid", "mappings", "block_device_mapping", "img_mappings",
    "img_block_device_mapping",
])  # fmt: skip
"""Properties that belong to one image alone."""
CREATE_IMAGE = "createImage"
INTERNAL = "os_glance"
PARTED = "ami"  # a disk whose kernel is an image of its own; disks of other formats become what the settings say


class SnapshotLogic:
    """`image_url` is the image service's base URL."""

    def __init__(
        self, actions: ActionLogic, images: ImageAccess, image_url: str, volumes: VolumeAccess | None = None
    ) -> None:
        self.actions, self.images, self.image_url, self.volumes = actions, images, image_url, volumes
        self.database, self.options = actions.database, actions.options

    async def create(self, ctx: RequestContext, row: ServerRow, name: str, metadata: Mapping[str, str]) -> str:
        """The image's id. Raises InvalidState, TooMany, and what the image service refuses."""
        await self._check_quota(ctx, row, metadata)
        return await self.begin(ctx, row, "createImage", name, {"image_type": "snapshot", **metadata})

    async def back_up(
        self, ctx: RequestContext, row: ServerRow, name: str, metadata: Mapping[str, str], *, backup_type: str,
        rotation: int, limited: bool,
    ) -> str:  # fmt: skip
        """The same of a backup; `limited`: by the quota of metadata items."""
        if limited:
            await self._check_quota(ctx, row, metadata)
        properties = {"image_type": "backup", **metadata, "backup_type": backup_type}
        return await self.begin(ctx, row, "createBackup", name, properties, backup_type=backup_type, rotation=rotation)

    async def begin(
        self, ctx: RequestContext, row: ServerRow, action: str, name: str, properties: Mapping[str, str], **order: Any
    ) -> str:
        """Make the record, and hand the work to the server's host. The record goes again when that fails. `order` are further
        fields of the Snapshot."""
        if ACTIONS[action].locked:
            check_lock(ctx, row)
        check_state(row, ACTIONS[action])
        if row.host is None:
            raise errors.NotReady(server_id=row.uuid)
        async with self.database.reading() as connection:
            spec = await request_specs.get(connection, row.uuid)
        if spec is None:
            raise errors.NotReady(server_id=row.uuid)
        if spec.volume_backed:
            if action != CREATE_IMAGE:
                raise errors.VolumeBackedBackup
            return await self._of_volumes(ctx, row, spec, name, properties)
        own = row.project_id == ctx.project_id
        source, facts = spec.image or models.Image(id=""), self._properties(ctx, row, spec.image)
        made = self.options.snapshot_image_format
        disk_format, container = (PARTED, PARTED) if source.disk_format == PARTED else (made, "bare")
        try:
            image = await self.images.create(
                ctx, {**facts, **({} if own else {"instance_owner": row.project_id}), **properties},
                name=name, visibility="private" if own else "shared", disk_format=disk_format, container_format=container,
                min_ram=source.min_ram, min_disk=max(source.min_disk, spec.flavor.root_gb),
            )  # fmt: skip
        except core_errors.TooLarge as error:  # a quota of the image service
            raise TooMany(reason=error.message) from None
        try:
            if not own:
                await self.images.share(ctx, image.id, row.project_id)
            snapshot = models.Snapshot(image=image.id, disk_format="raw" if disk_format == PARTED else made, **order)
            await self._hand_over(ctx, row.uuid, action, snapshot)
        except BaseException:
            await self._drop(ctx, image.id)
            raise
        return image.id

    async def volume_backed(self, server_id: str) -> bool:
        async with self.database.reading() as connection:
            spec = await request_specs.get(connection, server_id)
        return spec is not None and spec.volume_backed

    async def _of_volumes(
        self, ctx: RequestContext, row: ServerRow, spec: models.RequestSpec, name: str, properties: Mapping[str, str]
    ) -> str:
        """An image without data that names snapshots of the server's volumes, of which a server can be made. What was made before
        something failed goes again."""
        if self.volumes is None:
            raise NotBuiltYet(what="An image of a server that boots from a volume")
        async with self.database.reading() as connection:
            devices = (await block_devices.volumes_of(connection, [row.uuid])).get(row.uuid, [])
        made: list[tuple[VolumeRow, SnapshotFacts]] = []
        facts, source = self._properties(ctx, row, spec.image), spec.image or models.Image(id="")
        try:
            for device in devices:
                made.append((device, await self.volumes.take_snapshot(ctx, device.volume_id, f"snapshot for {name}")))
            mapping = json.encode([_mapped(device, snapshot) for device, snapshot in made]).decode()
            image = await self.images.create(
                ctx, {**facts, **properties, "root_device_name": "/dev/vda", "bdm_v2": "True", "block_device_mapping": mapping},
                name=name, visibility="private", disk_format="raw", container_format="bare",
                min_ram=source.min_ram, min_disk=source.min_disk,
            )  # fmt: skip
        except BaseException:
            for _, snapshot in made:
                await self._drop_snapshot(ctx, snapshot.id)
            raise
        await self.images.upload(ctx, image.id, b"", size=0)
        return image.id

    async def _drop_snapshot(self, ctx: RequestContext, snapshot_id: str) -> None:
        try:
            if self.volumes is not None:
                await self.volumes.delete_snapshot(ctx, snapshot_id)
        except core_errors.KilonovaError as error:
            logger.warning("snapshot of an image that was not made stays", snapshot=snapshot_id, reason=error.message)

    async def _hand_over(self, ctx: RequestContext, server_id: str, action: str, snapshot: models.Snapshot) -> None:
        def ordered(spec: models.RequestSpec) -> None:
            spec.snapshot = snapshot

        await self.actions.on_host(ctx, server_id, action, change=ordered)

    async def _drop(self, ctx: RequestContext, image_id: str) -> None:
        try:
            await self.images.delete(ctx, image_id)
        except core_errors.KilonovaError as error:
            logger.warning("image of a snapshot that did not begin stays", image=image_id, reason=error.message)

    async def _check_quota(self, ctx: RequestContext, row: ServerRow, metadata: Mapping[str, str]) -> None:
        async with self.database.reading() as connection:
            limits = await limits_of(connection, self.options.quotas, row.project_id, ctx.user_id)
        if 0 <= limits["metadata_items"] < len(metadata):
            raise TooMany(reason="Image metadata limit exceeded")

    def _properties(self, ctx: RequestContext, row: ServerRow, image: models.Image | None) -> dict[str, str]:
        """What the new image has from the server and from the image that it was made of."""
        skipped = NEVER | set(self.options.non_inheritable_image_properties)
        given = image.properties if image is not None else {}
        kept = {name: value for name, value in given.items() if name not in skipped and not name.startswith(INTERNAL)}
        return kept | {
            "base_image_ref": given.get("base_image_ref", row.image_id or ""), "instance_uuid": row.uuid,
            "user_id": ctx.user_id or "", "owner_id": row.project_id, "image_location": "snapshot",
            "image_state": "available",
        }  # fmt: skip


def _mapped(device: VolumeRow, snapshot: SnapshotFacts) -> dict[str, Any]:
    """A volume as a server that is made of the image gets it."""
    return {
        "source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot.id,
        "volume_size": snapshot.size, "boot_index": device.boot_index, "device_name": device.device_name,
        "disk_bus": device.disk_bus, "device_type": device.device_type, "guest_format": device.guest_format,
        "delete_on_termination": device.delete_on_termination, "tag": device.tag,
    }  # fmt: skip
