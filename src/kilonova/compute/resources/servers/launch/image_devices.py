"""Images that are made of volumes (`createImage` of a server that boots from one): they have no data, but say which snapshots a
server's disks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kilonova.compute import models
from kilonova.compute.resources.servers import errors
from kilonova.compute.resources.servers import schemas as shapes
from kilonova.compute.resources.servers.launch.devices import device_of
from kilonova.compute.resources.servers.launch.request import BlockDevice
from kilonova.compute.web.fields import truth

MAPPING, NEW_FORM = "block_device_mapping", "bdm_v2"


def devices_of_image(image: models.Image) -> list[BlockDevice]:
    """[] for an image with data of its own. Raises ImageUnacceptable."""
    text = image.properties.get(MAPPING)
    if not text or not truth(image.properties.get(NEW_FORM, "")):
        return []
    try:
        given = msgspec.json.decode(text, type=list[dict[str, object]])
        known = set(shapes.BlockDeviceIn.__struct_fields__)
        asked = [{name: value for name, value in one.items() if name in known and value is not None} for one in given]
        found = [device_of(msgspec.convert(one, shapes.BlockDeviceIn), boots=False) for one in asked]
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise errors.ImageUnacceptable(image_id=image.id, reason=f"its property {MAPPING} can not be read") from None
    return [device for device in found if device is not None]


def merged(of_image: Sequence[BlockDevice], asked: Sequence[BlockDevice]) -> list[BlockDevice]:
    """The image's devices, but for those that the request names anew, and the request's, but for the disk that a client asks for
    because the request names an image."""
    names = {device.device_name for device in asked if device.device_name is not None}
    kept = [device for device in of_image if device.device_name not in names]
    has_root = any(device.is_root for device in kept)
    return kept + [device for device in asked if not (has_root and device.source_type == "image" and device.is_root)]
