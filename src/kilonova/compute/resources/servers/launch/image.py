"""Step 3 of a launch, the image: it is there, active, and fits the flavor."""

from __future__ import annotations

import uuid

from kilonova.compute import models
from kilonova.compute.peers import ImageReader
from kilonova.compute.properties import image_faults
from kilonova.compute.resources.servers import errors
from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.image.client import ImageRecord

GIB = 1 << 30


async def resolve_image(client: ImageReader, ctx: RequestContext | None, image_id: str) -> models.Image:
    """The image with its kernel and ramdisk; raises UnknownImage, ImageNotActive, ImageUnacceptable."""
    record = await _get(client, ctx, image_id)
    image = as_model(record)
    if fault := next(image_faults(image.properties), None):
        raise errors.ImageUnacceptable(image_id=image_id, reason=fault)
    for part in ("kernel", "ramdisk"):
        reference = record.properties.get(f"{part}_id")
        if not reference:
            continue
        try:
            setattr(image, part, as_model(await _get(client, ctx, str(uuid.UUID(reference)))))
        except (ValueError, errors.UnknownImage):
            raise errors.ImageUnacceptable(
                image_id=image_id, reason=f"its {part} {reference} can not be found"
            ) from None
    return image


async def _get(client: ImageReader, ctx: RequestContext | None, image_id: str) -> ImageRecord:
    try:
        record = await client.get(ctx, image_id)
    except core_errors.NotFound:
        raise errors.UnknownImage from None
    if record.status != "active":
        raise errors.ImageNotActive(image_id=image_id)
    return record


def as_model(record: ImageRecord) -> models.Image:
    return models.Image(
        id=record.id, name=record.name, disk_format=record.disk_format, container_format=record.container_format,
        size=record.size or 0, min_disk=record.min_disk, min_ram=record.min_ram, hash_algo=record.os_hash_algo,
        hash_value=record.os_hash_value, properties={**record.properties},
    )  # fmt: skip


def check_fits(flavor: models.Flavor, image: models.Image, *, zero_disk_allowed: bool) -> None:
    """The flavor has the memory and the disk that the image needs; a flavor's disk of 0 follows the image's."""
    if flavor.memory_mb < image.min_ram:
        raise errors.FlavorMemoryTooSmall(flavor_ram=flavor.memory_mb, image_ram=image.min_ram)
    if flavor.root_gb == 0:
        if not zero_disk_allowed:
            raise errors.ZeroDiskFlavor
        return
    room = flavor.root_gb * GIB
    if image.size > room:
        raise errors.FlavorDiskTooSmall(flavor_size=room, image_size=image.size)
    if image.min_disk * GIB > room:
        raise errors.FlavorDiskSmallerThanMinDisk(flavor_size=room, min_disk=image.min_disk * GIB)
