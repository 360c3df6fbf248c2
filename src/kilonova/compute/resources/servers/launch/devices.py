"""From the block devices of a request's body to rows: what can be said of them without any other service, in upstream's words."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from msgspec import UnsetType

from kilonova.compute.resources.servers import errors
from kilonova.compute.resources.servers import schemas as shapes
from kilonova.compute.resources.servers.launch.request import BlockDevice
from kilonova.compute.web.fields import truth
from kilonova.core.web.call import InvalidInput
from kilonova.core.web.wire import present

ROOT = "vda"
LOCAL_FIELDS = {"disk_bus": "virtio", "device_type": "disk"}
"""What a local disk may be asked to be: everything else is refused, not passed over in silence."""
BUSES, TYPES, FILE_SYSTEMS = ("virtio", "scsi", "sata", "ide"), ("disk", "cdrom"), ("ext2", "ext3", "ext4")
NAMED: dict[str, str] = {"image": "image_id", "volume": "volume_id", "snapshot": "snapshot_id"}
"""Source → the field that may name it instead of `uuid`."""


def block_devices(asked: shapes.ServerIn) -> tuple[list[BlockDevice], str]:
    """(devices, the image that the request names or ""). No devices: the image's own disk alone."""
    if asked.block_device_mapping and asked.block_device_mapping_v2:
        raise InvalidInput(reason="Using different block_device_mapping syntaxes is not allowed in the same request.")
    image_id = asked.image_ref
    if asked.block_device_mapping:
        devices = _legacy(asked.block_device_mapping, image_id)
    else:
        found = [device_of(device, boots=bool(image_id)) for device in asked.block_device_mapping_v2]
        devices = [device for device in found if device is not None]
    if not image_id and not devices:
        raise errors.MissingImageRef
    if devices:
        _check_names(devices, image_id)
        check_boot_sequence(devices, image_id)
    return devices, image_id


def check_boot_sequence(devices: Sequence[BlockDevice], image_id: str) -> None:
    """Devices that boot are numbered from 0, each number once; raises InvalidBootSequence."""
    boots = sorted(device.boot_index for device in devices if device.boot_index is not None and device.boot_index >= 0)
    local = [device.image_id for device in devices if device.source_type == "image" and not device.is_volume]
    if not boots or boots != list(range(len(boots))) or any(found != image_id for found in local):
        raise errors.InvalidBootSequence


def _check_names(devices: Sequence[BlockDevice], image_id: str) -> None:
    names = [device.device_name for device in devices if device.device_name is not None]
    if image_id and any(device.is_volume and device.device_name == f"/dev/{ROOT}" for device in devices):
        raise errors.RootDeviceName(name=ROOT)
    if len(set(names)) < len(names):
        raise errors.InvalidBlockDevice(details="Two devices have the same name.")


def device_of(asked: shapes.BlockDeviceIn, *, boots: bool) -> BlockDevice | None:
    """`boots`: the request names an image, whose disk this may be. None for a device that is not to be."""
    if asked.no_device:
        return None
    source, found = _source(asked)
    destination = present(asked.destination_type, None) or ("local" if source == "blank" else "volume")
    device = BlockDevice(
        source_type=source, destination_type=destination, device_name=_name(asked.device_name),
        boot_index=int(asked.boot_index) if asked.boot_index is not None else None, volume_size=_size(asked.volume_size),
        volume_type=asked.volume_type, delete_on_termination=truth(asked.delete_on_termination),
        disk_bus=asked.disk_bus, device_type=asked.device_type, guest_format=asked.guest_format, tag=asked.tag,
    )  # fmt: skip
    if found is not None:
        setattr(device, NAMED[source], found)
    if destination == "local":
        _check_local(device, boots=boots)
    else:
        _check_volume(device)
    return device


def _source(asked: shapes.BlockDeviceIn) -> tuple[str, str | None]:
    """(source type, the id of what it is made of)."""
    given = {source: getattr(asked, field) for source, field in NAMED.items() if getattr(asked, field) is not None}
    if not isinstance(asked.source_type, UnsetType):
        source = str(asked.source_type)
    elif len(given) == 1:
        (source,) = given
    else:
        raise errors.InvalidBlockDevice(details="Some required fields are missing")
    named = asked.uuid or given.get(source)
    if source == "blank":
        if named:
            raise errors.InvalidBlockDevice(details="Invalid device UUID.")
        return source, None
    if not named:
        raise errors.InvalidBlockDevice(details="Missing device UUID.")
    try:
        return source, str(uuid.UUID(named))
    except ValueError:
        raise errors.InvalidBlockDevice(details=f"failed to get {source} {named}.") from None


def _check_local(device: BlockDevice, *, boots: bool) -> None:
    if device.source_type == "image" and not (boots and device.boot_index == 0):
        raise errors.InvalidBlockDevice(details="Mapping image to local is not supported.")
    if device.source_type in ("volume", "snapshot"):
        raise errors.InvalidBlockDevice(details=f"Mapping {device.source_type} to local is not supported.")
    if device.volume_type is not None:
        raise errors.InvalidBlockDevice(
            details="Specifying a volume_type with destination_type=local is not supported."
        )
    for field, served in LOCAL_FIELDS.items():
        if getattr(device, field) not in (None, served):
            raise errors.InvalidBlockDevice(
                details=f"{field} {getattr(device, field)}: only {served} is available for a local disk."
            )
    if device.source_type == "image" and device.guest_format is not None:
        raise errors.InvalidBlockDevice(details=f"guest_format {device.guest_format}: the image's disk has its own.")
    if device.is_ephemeral and device.guest_format not in (None, *FILE_SYSTEMS):
        known = ", ".join(FILE_SYSTEMS)
        raise errors.InvalidBlockDevice(details=f"guest_format {device.guest_format}: one of swap, {known}.")
    device.delete_on_termination = True


def _check_volume(device: BlockDevice) -> None:
    if device.source_type == "volume" and device.volume_type is not None:
        raise errors.InvalidBlockDevice(details="Specifying volume type to existing volume is not supported.")
    if device.source_type == "image" and not device.volume_size:
        raise errors.BlockDeviceSize(
            details="Images with destination_type 'volume' need to have a non-zero size specified"
        )
    if device.source_type == "blank" and not device.volume_size:
        raise errors.BlockDeviceSize(
            details="Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size"
        )
    if device.disk_bus not in (None, *BUSES):
        raise errors.InvalidDiskBus(disk_bus=device.disk_bus)
    if device.device_type not in (None, *TYPES):
        raise errors.InvalidBlockDevice(details=f"device_type {device.device_type}: one of {', '.join(TYPES)}.")


def _legacy(asked: Sequence[shapes.LegacyBlockDeviceIn], image_id: str) -> list[BlockDevice]:
    """The old form has no boot index: the device named as the root disk boots, unless the request names an image."""
    found = [device for device in map(_legacy_device, asked) if device is not None]
    for device in found:
        roots = device.device_name == f"/dev/{ROOT}" and device.source_type != "blank"
        device.boot_index = 0 if roots and not image_id else -1
    if image_id:
        found.insert(0, image_disk(image_id))
    return found


def _legacy_device(asked: shapes.LegacyBlockDeviceIn) -> BlockDevice | None:
    name, size = _name(asked.device_name), _size(asked.volume_size)
    kept = truth(asked.delete_on_termination)
    if asked.virtual_name is not None and (asked.virtual_name == "swap" or asked.virtual_name.startswith("ephemeral")):
        return BlockDevice(
            source_type="blank", destination_type="local", device_name=name, volume_size=size, delete_on_termination=True,
            guest_format="swap" if asked.virtual_name == "swap" else None,
        )  # fmt: skip
    for source in ("snapshot", "volume"):
        if (named := getattr(asked, NAMED[source])) is not None:
            device = BlockDevice(
                source_type=source, destination_type="volume", device_name=name, volume_size=size,
                delete_on_termination=kept,
            )  # fmt: skip
            setattr(device, NAMED[source], str(uuid.UUID(named)))
            return device
    if asked.no_device:
        return None
    raise errors.InvalidBlockDevice(details="Unrecognized legacy format.")


def image_disk(image_id: str) -> BlockDevice:
    return BlockDevice(
        source_type="image", destination_type="local", image_id=image_id, boot_index=0, delete_on_termination=True
    )


def _name(given: str | None) -> str | None:
    return None if given is None else "/dev/" + given.removeprefix("/dev/")


def _size(given: str | int | None) -> int | None:
    return int(given) if given not in (None, "") else None
