"""Images, which are the image service's. What of them is public, shared or one's own is as it says."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any
from urllib.parse import quote

import msgspec

from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import CodedError, InvalidParameterValue
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import IMAGE, INSTANCE, KERNEL, RAMDISK, SNAPSHOT
from kilonova.ec2.paging import paged
from kilonova.ec2.tags import Tags, forget, write_specified

PATCH = "application/openstack-images-v2.1-json-patch"
STATES = {
    "active": "available",
    "queued": "pending",
    "saving": "pending",
    "importing": "pending",
    "deactivated": "disabled",
}
FILTERS = {
    "architecture": at("Architecture"), "creation-date": at("CreationDate"), "description": at("Description"),
    "hypervisor": at("Hypervisor"), "image-id": at("ImageId"), "image-type": at("ImageType"), "is-public": at("Public"),
    "kernel-id": at("KernelId"), "name": at("Name"), "owner-id": at("OwnerId"), "owner-alias": at("ImageOwnerAlias"),
    "platform": at("Platform"), "ramdisk-id": at("RamdiskId"), "root-device-name": at("RootDeviceName"),
    "root-device-type": at("RootDeviceType"), "state": at("State"), "virtualization-type": at("VirtualizationType"),
    "block-device-mapping.volume-size": at("BlockDeviceMappings", "Ebs", "VolumeSize"),
    "block-device-mapping.device-name": at("BlockDeviceMappings", "DeviceName"),
    "block-device-mapping.snapshot-id": at("BlockDeviceMappings", "Ebs", "SnapshotId"),
}  # fmt: skip
KINDS = {"aki": KERNEL, "ari": RAMDISK}
TYPES = {"aki": "kernel", "ari": "ramdisk"}
ATTRIBUTES = ("description", "kernel", "ramdisk", "launchPermission", "blockDeviceMapping")


async def describe_images(call: Ec2Call) -> Result:
    params, tags = call.params, await Tags.of(call)
    shown = [tags.on(view(image), "ImageId") for image in await call.image.all("/images?limit=1000", "images")]
    if ids := params.get("ImageIds"):
        found = {image["ImageId"]: image for image in shown}
        if missing := sorted(set(ids) - found.keys()):
            if missing[0].partition("-")[0] not in KINDS:
                IMAGE.uuid(missing[0])  # may be malformed
            raise IMAGE.not_found(missing[0])
        shown = [found[each] for each in dict.fromkeys(ids)]
    if owners := params.get("Owners"):
        mine = {call.project_id if owner == "self" else owner for owner in owners}
        shown = [image for image in shown if image["OwnerId"] in mine or image.get("ImageOwnerAlias") in mine]
    if users := params.get("ExecutableUsers"):
        shown = [image for image in shown if image["Public"] or "self" in users]
    page, token = paged(filtered(shown, params.get("Filters"), FILTERS), params, ids="ImageIds")
    return {"Images": page, "NextToken": token}


async def get(call: Ec2Call, image_id: str) -> dict[str, Any]:
    """The image service's record. Raises CodedError."""
    kind = KINDS.get(image_id.partition("-")[0], IMAGE)
    try:
        with refused(NotFound="gone"):
            return dict(await call.image.get(f"/images/{kind.uuid(image_id)}"))
    except CodedError as error:
        raise kind.not_found(image_id) if error.code == "gone" else error from None


async def create_image(call: Ec2Call) -> Result:
    """Of an instance's disk. Guests are not rebooted for it: the disk is copied as it is at one moment."""
    params = call.params
    body = {"createImage": {"name": params["Name"], "metadata": {}}}
    if params.get("Description"):
        body["createImage"]["metadata"] = {"description": params["Description"]}
    with refused(
        NotFound="InvalidInstanceID.NotFound", Conflict="IncorrectInstanceState", Forbidden="ResourceLimitExceeded"
    ):
        made = await call.compute.post(f"/servers/{INSTANCE.uuid(params['InstanceId'])}/action", body)
    image = IMAGE.id(made["image_id"])
    await write_specified(call, {"image": [image]})
    return {"ImageId": image}


async def deregister_image(call: Ec2Call) -> Result:
    image = await get(call, call.params["ImageId"])
    with refused(Forbidden="AuthFailure", Conflict="InvalidAMIID.Unavailable", NotFound="InvalidAMIID.NotFound"):
        await call.image.delete(f"/images/{image['id']}")
    await forget(call, call.params["ImageId"])
    return {"Return": True}


async def describe_image_attribute(call: Ec2Call) -> Result:
    name, image = call.params["Attribute"], await get(call, call.params["ImageId"])
    shown = view(image)
    known: dict[str, Any] = {
        "description": {"Description": {"Value": shown.get("Description", "")}},
        "kernel": {"KernelId": {"Value": shown.get("KernelId")}},
        "ramdisk": {"RamdiskId": {"Value": shown.get("RamdiskId")}},
        "blockDeviceMapping": {"BlockDeviceMappings": shown["BlockDeviceMappings"]},
    }
    if name == "launchPermission":
        known[name] = {"LaunchPermissions": await _permissions(call, image)}
    if name not in known:
        raise InvalidParameterValue(name="attribute", value=name[:50], reason=f"Known are {', '.join(ATTRIBUTES)}.")
    found: Result = {"ImageId": shown["ImageId"]} | known[name]
    return found


async def _permissions(call: Ec2Call, image: dict[str, Any]) -> list[dict[str, str]]:
    if image["visibility"] == "public":
        return [{"Group": "all"}]
    if image["visibility"] != "shared":
        return []
    members = (await call.image.get(f"/images/{image['id']}/members"))["members"]
    return [{"UserId": member["member_id"]} for member in members]


async def modify_image_attribute(call: Ec2Call) -> Result:
    """`LaunchPermission` makes an image public and shares it; `Description` describes it."""
    params, image = call.params, await get(call, call.params["ImageId"])
    with refused(Forbidden="AuthFailure", NotFound="InvalidAMIID.NotFound", BadRequest="InvalidParameterValue"):
        if "Description" in params:
            await _set(call, image, "description", params["Description"].get("Value", ""))
        change = params.get("LaunchPermission", {})
        if "UserIds" in params:
            verb = {"add": "Add", "remove": "Remove"}.get(params.get("OperationType", "add"), "Add")
            change = {verb: [{"UserId": each} for each in params["UserIds"]]}
        await asyncio.gather(*[_permit(call, image, each) for each in change.get("Add", ())])
        await asyncio.gather(*[_forbid(call, image, each) for each in change.get("Remove", ())])
    return {}


async def _permit(call: Ec2Call, image: dict[str, Any], who: dict[str, str]) -> None:
    if who.get("Group") == "all":
        await _set(call, image, "visibility", "public")
    elif user := who.get("UserId"):
        if image["visibility"] == "private":
            await _set(call, image, "visibility", "shared")
        with refused(Conflict="gone"):
            await call.image.post(f"/images/{image['id']}/members", {"member": user})


async def _forbid(call: Ec2Call, image: dict[str, Any], who: dict[str, str]) -> None:
    if who.get("Group") == "all":
        await _set(call, image, "visibility", "private")
    elif user := who.get("UserId"):
        await call.image.delete(f"/images/{image['id']}/members/{quote(user, safe='')}")


async def _set(call: Ec2Call, image: dict[str, Any], name: str, value: str) -> None:
    operation = "replace" if name in image else "add"
    await call.image.patch(f"/images/{image['id']}", [{"op": operation, "path": f"/{name}", "value": value}], PATCH)


def view(image: dict[str, Any]) -> dict[str, Any]:
    layout = image["container_format"]
    kind = KINDS.get(layout or "", IMAGE)
    shown: dict[str, Any] = {
        "ImageId": kind.id(image["id"]), "ImageLocation": image["name"] or "", "Name": image["name"] or "",
        "State": STATES.get(image["status"], "failed"), "OwnerId": image["owner"] or "",
        "Public": image["visibility"] == "public",
        "Architecture": {"amd64": "x86_64"}.get(image.get("architecture", ""), image.get("architecture", "x86_64")),
        "ImageType": TYPES.get(layout or "", "machine"), "CreationDate": _milliseconds(image["created_at"]),
        "VirtualizationType": "hvm", "Hypervisor": "xen", "RootDeviceType": "instance-store", "BlockDeviceMappings": [],
        "RootDeviceName": image.get("root_device_name", "/dev/vda"),
    }  # fmt: skip
    if image.get("os_type") == "windows":
        shown["Platform"] = "windows"
    if "description" in image:
        shown["Description"] = image["description"]
    for name, key, inner in (("kernel_id", "KernelId", KERNEL), ("ramdisk_id", "RamdiskId", RAMDISK)):
        if image.get(name):
            shown[key] = inner.id(image[name])
    return shown | _devices(image)


def _devices(image: dict[str, Any]) -> dict[str, Any]:
    """Of an image of volumes' snapshots, whose devices are a property."""
    try:
        mapping = msgspec.json.decode(image.get("block_device_mapping", "[]"), type=list[dict[str, Any]])
    except msgspec.DecodeError:
        mapping = []
    devices = [
        {
            "DeviceName": each.get("device_name") or "/dev/vda",
            "Ebs": {
                "SnapshotId": SNAPSHOT.id(each["snapshot_id"]), "VolumeSize": each.get("volume_size"),
                "DeleteOnTermination": bool(each.get("delete_on_termination")),
            },
        }
        for each in mapping
        if each.get("snapshot_id")
    ]  # fmt: skip
    return {"BlockDeviceMappings": devices, "RootDeviceType": "ebs"} if devices else {}


def _milliseconds(written: str) -> str:
    return dt.datetime.fromisoformat(written).strftime("%Y-%m-%dT%H:%M:%S.000Z")


ACTIONS = {
    "DescribeImages": describe_images,
    "CreateImage": create_image,
    "DeregisterImage": deregister_image,
    "DescribeImageAttribute": describe_image_attribute,
    "ModifyImageAttribute": modify_image_attribute,
}
