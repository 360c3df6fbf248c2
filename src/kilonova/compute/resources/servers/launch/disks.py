"""Step 3 of a launch, its disks: what they are made of is there, and fits; which one the server boots from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from kilonova.compute import models
from kilonova.compute.device_names import MOST, NAMES, bare, free_name, local_disks
from kilonova.compute.errors import NotBuiltYet
from kilonova.compute.peers import ImageReader
from kilonova.compute.properties import image_faults
from kilonova.compute.resources.servers import errors
from kilonova.compute.resources.servers.launch.devices import check_boot_sequence
from kilonova.compute.resources.servers.launch.image import GIB, check_fits, resolve_image
from kilonova.compute.resources.servers.launch.image_devices import devices_of_image, merged
from kilonova.compute.resources.servers.launch.request import BlockDevice, LaunchRequest
from kilonova.compute.store import block_devices as store
from kilonova.compute.volumes import SnapshotFacts, VolumeFacts, VolumeReader
from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Database

MAX_LOCAL = 3  # disks of the host
NOT_PROPERTIES = frozenset([
    "image_id", "image_name", "disk_format", "container_format", "size", "min_disk", "min_ram", "checksum",
])  # fmt: skip
"""What the volume service keeps among an image's properties without being one."""


class DiskChecks:
    """`volumes` is None in a cloud without a volume service."""

    def __init__(self, database: Database, images: ImageReader, volumes: VolumeReader | None) -> None:
        self.database, self.images, self.volumes = database, images, volumes

    async def resolve(self, ctx: RequestContext, wanted: LaunchRequest, spec: models.RequestSpec) -> None:
        """What `spec` says of disks, from the devices of `wanted`, which get their sizes. Raises the first reason why they can't
        be."""
        image = await resolve_image(self.images, ctx, wanted.image_id) if wanted.image_id else None
        if image is not None and (of_image := devices_of_image(image)):
            wanted.block_devices = merged(of_image, wanted.block_devices)
            check_boot_sequence(wanted.block_devices, wanted.image_id)
        devices = wanted.block_devices
        if not devices:
            self._local_image(wanted, spec, image)
            return
        if any(device.source_type == "volume" for device in devices) and wanted.most > 1:
            raise errors.VolumesForManyServers
        _local_disks(devices, spec)
        _name(devices, spec)
        found = await asyncio.gather(*(self._source(ctx, wanted, device) for device in devices))
        root, source = next((d, s) for d, s in zip(devices, found, strict=True) if d.is_root)
        if not root.is_volume:
            self._local_image(wanted, spec, image)
        else:
            spec.image, spec.volume_backed = await self._content(ctx, source, root), True
            _check_root(spec, root)
        spec.volumes = any(device.is_volume for device in devices)

    @staticmethod
    def _local_image(wanted: LaunchRequest, spec: models.RequestSpec, image: models.Image | None) -> None:
        if image is None:
            raise errors.InvalidBootSequence
        spec.image = image
        check_fits(spec.flavor, image, zero_disk_allowed=wanted.zero_disk_allowed)

    async def _source(self, ctx: RequestContext, wanted: LaunchRequest, device: BlockDevice) -> Any:
        """What a volume is, or is to be made of; None for a local disk and a blank volume."""
        if not device.is_volume:
            return None
        if self.volumes is None:
            raise NotBuiltYet(what="Attaching or booting from a volume")
        if device.volume_type is not None:
            await self._type(ctx, device)
        if device.source_type == "volume":
            return await self._volume(ctx, wanted, device, self.volumes)
        if device.source_type == "snapshot":
            snapshot = await _found(
                self.volumes.snapshot(ctx, device.snapshot_id or ""), "snapshot", device.snapshot_id
            )
            if device.volume_size is not None and device.volume_size < snapshot.size:
                raise errors.InvalidBlockDevice(
                    details=f"a volume of {device.volume_size} GiB is smaller than snapshot {snapshot.id}."
                )
            device.volume_size = device.volume_size or snapshot.size
            return snapshot
        if device.source_type == "image":
            return await _image(self.images, ctx, device.image_id or "")
        return None

    async def _volume(
        self, ctx: RequestContext, wanted: LaunchRequest, device: BlockDevice, volumes: VolumeReader
    ) -> VolumeFacts:
        volume: VolumeFacts = await _found(volumes.volume(ctx, device.volume_id or ""), "volume", device.volume_id)
        async with self.database.reading() as connection:
            holders = await store.holders(connection, volume.id)
        check_attachable(volume, holders, multiattach=wanted.multiattach)
        device.volume_size = volume.size
        return volume

    async def _type(self, ctx: RequestContext, device: BlockDevice) -> None:
        known = await self.volumes.volume_types(ctx) if self.volumes is not None else []
        if not any(device.volume_type in (type_id, name) for type_id, name in known):
            raise errors.UnknownVolumeType(volume_type=device.volume_type)

    async def _content(self, ctx: RequestContext, source: Any, root: BlockDevice) -> models.Image:
        """What is known of the content of a volume that a server boots from."""
        if isinstance(source, SnapshotFacts) and self.volumes is not None:
            source = await _found(self.volumes.volume(ctx, source.volume_id), "volume", source.volume_id)
        if isinstance(source, VolumeFacts):
            if not source.bootable:
                raise errors.VolumeNotBootable(volume_id=source.id)
            return checked(content_of(source))
        return source if isinstance(source, models.Image) else models.Image(id="")


async def _found(asked: Any, what: str, named: str | None) -> Any:
    try:
        return await asked
    except (core_errors.NotFound, core_errors.Forbidden, core_errors.BadRequest):
        raise errors.InvalidBlockDevice(details=f"failed to get {what} {named}.") from None


async def _image(images: ImageReader, ctx: RequestContext, image_id: str) -> models.Image:
    try:
        return await resolve_image(images, ctx, image_id)
    except errors.UnknownImage:
        raise errors.InvalidBlockDevice(details=f"failed to get image {image_id}.") from None


def check_attachable(volume: VolumeFacts, holders: Sequence[str], *, multiattach: bool, server_id: str = "") -> None:
    """Raises InvalidVolume for a volume that can't be given to a server now; `holders` are the servers that compute knows to have
    it, `multiattach`: the caller's microversion knows volumes with several attachments."""
    if server_id in holders:
        raise errors.InvalidVolume(reason=f"volume {volume.id} already attached")
    if holders and not volume.multiattach:
        names = " ".join(holders)
        raise errors.InvalidVolume(reason=f"volume {volume.id} is already attached to instances: {names}")
    if volume.multiattach and not multiattach:
        raise errors.MultiattachNeedsNewerVersion
    usable = ("available", "in-use") if volume.multiattach else ("available",)
    if volume.status not in usable:
        raise errors.InvalidVolume(
            reason=f"volume '{volume.id}' status must be 'available'. Currently in '{volume.status}'"
        )


def content_of(volume: VolumeFacts) -> models.Image:
    """A bootable volume as the image that its content came from; without an id where that is not known. Users write this: the
    image need not be one that they may read."""
    given = volume.image
    return models.Image(
        id=given.get("image_id", ""), min_ram=_whole(given.get("min_ram")), min_disk=_whole(given.get("min_disk")),
        disk_format="raw", container_format="bare",
        properties={name: value for name, value in given.items() if name not in NOT_PROPERTIES},
    )  # fmt: skip


def checked(content: models.Image) -> models.Image:
    """Raises ImageUnacceptable, as for an image's own properties."""
    if fault := next(image_faults(content.properties), None):
        raise errors.ImageUnacceptable(image_id=content.id, reason=fault)
    return content


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _check_root(spec: models.RequestSpec, root: BlockDevice) -> None:
    image = spec.image
    if image is None:
        return
    if spec.flavor.memory_mb < image.min_ram:
        raise errors.FlavorMemoryTooSmall(flavor_ram=spec.flavor.memory_mb, image_ram=image.min_ram)
    if root.volume_size and image.min_disk > root.volume_size:
        raise errors.VolumeSmallerThanMinDisk(volume_size=root.volume_size * GIB, min_disk=image.min_disk * GIB)


def _name(devices: Sequence[BlockDevice], spec: models.RequestSpec) -> None:
    """Every disk has a name: those of the host the first ones, volumes what was asked for where it can be, else what is left."""
    own = NAMES[: local_disks(spec)]
    local = [device for device in devices if not device.is_volume or device.is_root]
    for device, named in zip(sorted(local, key=lambda one: not one.is_root), own, strict=False):
        device.device_name = f"/dev/{named}"
    volumes = [device for device in devices if device.is_volume and not device.is_root]
    taken = {*own, *(bare(device.device_name) for device in volumes)}
    for device in volumes:
        name = bare(device.device_name)
        if name in own or name not in NAMES:
            free = free_name(taken)
            if free is None:
                raise errors.TooManyDisks(most=MOST)
            taken.add(free)
            device.device_name = f"/dev/{free}"


def _local_disks(devices: Sequence[BlockDevice], spec: models.RequestSpec) -> None:
    """Ephemeral disks and swap of the request stand for the flavor's, and are within it."""
    flavor = spec.flavor
    ephemerals, swaps = [d for d in devices if d.is_ephemeral], [d for d in devices if d.is_swap]
    if sum(device.volume_size or flavor.ephemeral_gb for device in ephemerals) > flavor.ephemeral_gb:
        raise errors.EphemeralTooLarge
    if len(swaps) > 1:
        raise errors.InvalidBlockDevice(details="More than one swap drive requested.")
    if swaps and (swaps[0].volume_size or 0) > flavor.swap_mb:
        raise errors.SwapTooLarge
    roots = sum(device.source_type == "image" and not device.is_volume for device in devices)
    if roots + (len(ephemerals) or bool(flavor.ephemeral_gb)) + (len(swaps) or bool(flavor.swap_mb)) > MAX_LOCAL:
        raise errors.TooManyLocalDisks
    if ephemerals:
        spec.ephemerals = [models.Ephemeral(size_gb=d.volume_size, format=d.guest_format) for d in ephemerals]
    if swaps:
        spec.swap_mb = swaps[0].volume_size or flavor.swap_mb
