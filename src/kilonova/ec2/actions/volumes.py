"""Volumes and snapshots, which are the volume service's; attached by compute."""

from __future__ import annotations

from typing import Any

from kilonova.core.clock import parse_iso
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import InvalidParameterValue, MissingParameter, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import INSTANCE, SNAPSHOT, VOLUME
from kilonova.ec2.paging import paged
from kilonova.ec2.tags import Tags, forget, write_specified

VOLUMES, SNAPSHOTS = "/volumes", "/snapshots"
STATES = {
    "creating": "creating", "available": "available", "reserved": "available", "attaching": "in-use", "detaching": "in-use",
    "in-use": "in-use", "extending": "in-use", "deleting": "deleting", "error": "error", "error_deleting": "error",
}  # fmt: skip
SNAPSHOT_STATES = {"creating": "pending", "available": "completed", "error": "error"}
FILTERS = {
    "volume-id": at("VolumeId"), "status": at("State"), "size": at("Size"), "snapshot-id": at("SnapshotId"),
    "availability-zone": at("AvailabilityZone"), "volume-type": at("VolumeType"), "encrypted": at("Encrypted"),
    "create-time": at("CreateTime"), "attachment.instance-id": at("Attachments", "InstanceId"),
    "attachment.device": at("Attachments", "Device"), "attachment.status": at("Attachments", "State"),
    "multi-attach-enabled": at("MultiAttachEnabled"),
}  # fmt: skip
SNAPSHOT_FILTERS = {
    "snapshot-id": at("SnapshotId"), "volume-id": at("VolumeId"), "status": at("State"), "description": at("Description"),
    "owner-id": at("OwnerId"), "volume-size": at("VolumeSize"), "progress": at("Progress"), "encrypted": at("Encrypted"),
    "start-time": at("StartTime"),
}  # fmt: skip
CODES = {
    "BadRequest": "InvalidParameterValue",
    "TooLarge": "VolumeLimitExceeded",
    "NotFound": "InvalidSnapshot.NotFound",
}


async def create_volume(call: Ec2Call) -> Result:
    params = call.params
    if "Size" not in params and "SnapshotId" not in params:
        raise MissingParameter(name="Size")
    wanted: dict[str, Any] = {"size": params.get("Size"), "availability_zone": params.get("AvailabilityZone")}
    if "SnapshotId" in params:
        wanted["snapshot_id"] = SNAPSHOT.uuid(params["SnapshotId"])
    if "VolumeType" in params:
        wanted["volume_type"] = await _known_type(call, params["VolumeType"])
    if params.get("MultiAttachEnabled"):
        wanted["multiattach"] = True
    with refused(**CODES):
        body = {"volume": {key: value for key, value in wanted.items() if value is not None}}
        made = (await call.volume.post(VOLUMES, body))["volume"]
    await write_specified(call, {"volume": [VOLUME.id(made["id"])]})
    return (await Tags.of(call)).on(view(made), "VolumeId")


async def _known_type(call: Ec2Call, name: str) -> str | None:
    """A volume type of this name; Amazon's own, when there is none of that name, stand for the default one."""
    types = await call.volume.all("/types", "volume_types")
    if any(each["name"] == name for each in types):
        return name
    if name in ("standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"):
        return None
    raise InvalidParameterValue(name="volumeType", value=name[:50], reason="There is no such volume type.")


async def describe_volumes(call: Ec2Call) -> Result:
    params, tags = call.params, await Tags.of(call)
    shown = [tags.on(view(each), "VolumeId") for each in await call.volume.all(f"{VOLUMES}/detail", "volumes")]
    shown = _named(shown, "VolumeId", params.get("VolumeIds", ()), VOLUME)
    page, token = paged(filtered(shown, params.get("Filters"), FILTERS), params, ids="VolumeIds")
    return {"Volumes": page, "NextToken": token}


def _named(shown: list[dict[str, Any]], key: str, ids: Any, kind: Any) -> list[dict[str, Any]]:
    known = {item[key] for item in shown}
    for each in ids:
        if each not in known:
            kind.uuid(each)
            raise kind.not_found(each)
    return [item for item in shown if not ids or item[key] in ids]


async def delete_volume(call: Ec2Call) -> Result:
    volume = call.params["VolumeId"]
    with refused(NotFound="InvalidVolume.NotFound", BadRequest="VolumeInUse", Conflict="VolumeInUse"):
        await call.volume.delete(f"{VOLUMES}/{VOLUME.uuid(volume)}")
    await forget(call, volume)
    return {}


async def attach_volume(call: Ec2Call) -> Result:
    params = call.params
    volume, server = VOLUME.uuid(params["VolumeId"]), INSTANCE.uuid(params["InstanceId"])
    with refused(NotFound="InvalidVolume.NotFound"):
        await call.volume.get(f"{VOLUMES}/{volume}")
    body = {"volumeAttachment": {"volumeId": volume, "device": params["Device"]}}
    with refused(NotFound="InvalidInstanceID.NotFound", BadRequest="VolumeInUse", Conflict="IncorrectState"):
        made = (await call.compute.post(f"/servers/{server}/os-volume_attachments", body))["volumeAttachment"]
    return _attachment(params["VolumeId"], params["InstanceId"], made.get("device") or params["Device"], "attaching")


async def detach_volume(call: Ec2Call) -> Result:
    volume = call.params["VolumeId"]
    with refused(NotFound="InvalidVolume.NotFound"):
        found = (await call.volume.get(f"{VOLUMES}/{VOLUME.uuid(volume)}"))["volume"]
    attached = {INSTANCE.id(each["server_id"]): each for each in found["attachments"]}
    instance = call.params.get("InstanceId") or next(iter(attached), None)
    if instance not in attached:
        raise coded("IncorrectState", f"Volume '{volume}' is in the '{found['status']}' state.")
    with refused(NotFound="InvalidAttachment.NotFound", Conflict="IncorrectState", Forbidden="OperationNotPermitted"):
        await call.compute.delete(f"/servers/{INSTANCE.uuid(instance)}/os-volume_attachments/{found['id']}")
    return _attachment(volume, instance, attached[instance]["device"] or "", "detaching")


def _attachment(volume: str, instance: str, device: str, state: str) -> Result:
    return {"VolumeId": volume, "InstanceId": instance, "Device": device, "State": state}


async def modify_volume(call: Ec2Call) -> Result:
    """Its size alone."""
    volume, size = call.params["VolumeId"], call.params.get("Size")
    if size is None:
        raise MissingParameter(name="Size")
    path = f"{VOLUMES}/{VOLUME.uuid(volume)}"
    with refused(NotFound="InvalidVolume.NotFound", BadRequest="InvalidParameterValue", TooLarge="VolumeLimitExceeded"):
        before = (await call.volume.get(path))["volume"]["size"]
        await call.volume.post(f"{path}/action", {"os-extend": {"new_size": size}})
    state = {
        "VolumeId": volume,
        "ModificationState": "modifying",
        "OriginalSize": before,
        "TargetSize": size,
        "Progress": 0,
    }
    return {"VolumeModification": state | {"StartTime": call.cloud.clock.now()}}


async def create_snapshot(call: Ec2Call) -> Result:
    params = call.params
    body = {
        "snapshot": {
            "volume_id": VOLUME.uuid(params["VolumeId"]),
            "force": True,
            "name": params.get("Description", "")[:255],
        }
    }
    body["snapshot"]["description"] = params.get("Description", "")
    with refused(NotFound="InvalidVolume.NotFound", TooLarge="SnapshotLimitExceeded", BadRequest="IncorrectState"):
        made = (await call.volume.post(SNAPSHOTS, body))["snapshot"]
    await write_specified(call, {"snapshot": [SNAPSHOT.id(made["id"])]})
    return (await Tags.of(call)).on(snapshot_view(call, made), "SnapshotId")


async def describe_snapshots(call: Ec2Call) -> Result:
    params, tags = call.params, await Tags.of(call)
    found = await call.volume.all(f"{SNAPSHOTS}/detail", "snapshots")
    shown = [tags.on(snapshot_view(call, each), "SnapshotId") for each in found]
    shown = _named(shown, "SnapshotId", params.get("SnapshotIds", ()), SNAPSHOT)
    if owners := params.get("OwnerIds"):
        shown = [item for item in shown if "self" in owners or item["OwnerId"] in owners]
    page, token = paged(filtered(shown, params.get("Filters"), SNAPSHOT_FILTERS), params, ids="SnapshotIds")
    return {"Snapshots": page, "NextToken": token}


async def delete_snapshot(call: Ec2Call) -> Result:
    snapshot = call.params["SnapshotId"]
    with refused(
        NotFound="InvalidSnapshot.NotFound", BadRequest="InvalidSnapshot.InUse", Conflict="InvalidSnapshot.InUse"
    ):
        await call.volume.delete(f"{SNAPSHOTS}/{SNAPSHOT.uuid(snapshot)}")
    await forget(call, snapshot)
    return {}


def view(volume: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "VolumeId": VOLUME.id(volume["id"]), "Size": volume["size"], "State": STATES.get(volume["status"], "in-use"),
        "AvailabilityZone": volume["availability_zone"], "CreateTime": parse_iso(volume["created_at"]),
        "VolumeType": volume["volume_type"] or "standard", "Encrypted": bool(volume.get("encrypted")),
        "MultiAttachEnabled": bool(volume.get("multiattach")),
        "Attachments": [
            _attachment(VOLUME.id(volume["id"]), INSTANCE.id(each["server_id"]), each["device"] or "", "attached")
            for each in volume.get("attachments", ())
            if each["server_id"]
        ],
    }  # fmt: skip
    return shown | ({"SnapshotId": SNAPSHOT.id(volume["snapshot_id"])} if volume.get("snapshot_id") else {})


def snapshot_view(call: Ec2Call, snapshot: dict[str, Any]) -> dict[str, Any]:
    state = SNAPSHOT_STATES.get(snapshot["status"], "error")
    return {
        "SnapshotId": SNAPSHOT.id(snapshot["id"]), "VolumeId": VOLUME.id(snapshot["volume_id"]), "State": state,
        "StartTime": parse_iso(snapshot["created_at"]), "Progress": "100%" if state == "completed" else "0%",
        "OwnerId": call.project_id, "Description": snapshot.get("description") or "", "VolumeSize": snapshot["size"],
        "Encrypted": False,
    }  # fmt: skip


ACTIONS = {
    "CreateVolume": create_volume,
    "DescribeVolumes": describe_volumes,
    "DeleteVolume": delete_volume,
    "AttachVolume": attach_volume,
    "DetachVolume": detach_volume,
    "ModifyVolume": modify_volume,
    "CreateSnapshot": create_snapshot,
    "DescribeSnapshots": describe_snapshots,
    "DeleteSnapshot": delete_snapshot,
}
