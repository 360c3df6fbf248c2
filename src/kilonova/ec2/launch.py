"""What compute is told to launch: the parameters of RunInstances in its words."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from kilonova.ec2.actions import security_groups
from kilonova.ec2.actions.images import get as get_image
from kilonova.ec2.actions.instance_types import flavor_of
from kilonova.ec2.call import Ec2Call, refused
from kilonova.ec2.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    UnsupportedOperation,
    coded,
)
from kilonova.ec2.ids import GROUP, INSTANCE, INTERFACE, SNAPSHOT
from kilonova.ec2.networks import Networks
from kilonova.ec2.tags import HOPS, TOKENS, TYPE, specified

CODES = {
    "NotFound": "InvalidParameterValue", "BadRequest": "InvalidParameterValue", "Forbidden": "InstanceLimitExceeded",
    "Conflict": "IncorrectState", "TooLarge": "InstanceLimitExceeded",
}  # fmt: skip


async def launch(call: Ec2Call) -> list[str]:
    params = call.params
    least, most = params["MinCount"], params["MaxCount"]
    if not 1 <= least <= most:
        raise InvalidParameterCombination(reason="MinCount is at least 1 and at most MaxCount.")
    if "ImageId" not in params:
        raise MissingParameter(name="ImageId")
    image, flavor = await asyncio.gather(
        get_image(call, params["ImageId"]), flavor_of(call, params.get("InstanceType", "m1.small"))
    )
    tags = specified(call, "instance")
    server: dict[str, Any] = {
        "name": tags.get("Name") or "instance", "imageRef": image["id"], "flavorRef": flavor["id"], "metadata": tags,
        "networks": await _networks(call), "min_count": least, "max_count": most, "return_reservation_id": True,
    }  # fmt: skip
    server |= await _groups(call) | _options(params) | _disks(params, image)
    server["metadata"] = tags | metadata_of(params.get("MetadataOptions", {}))
    if flavor["name"] != params.get("InstanceType", flavor["name"]):
        server["metadata"][TYPE] = params["InstanceType"]
    with refused(**CODES):
        answer = await call.compute.post("/servers", {"server": server})
    query = f"/servers/detail?reservation_id={answer['reservation_id']}"
    return [INSTANCE.id(each["id"]) for each in await call.compute.all(query, "servers")]


def _options(params: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "KeyName" in params:
        found["key_name"] = params["KeyName"]
    if zone := params.get("Placement", {}).get("AvailabilityZone"):
        found["availability_zone"] = zone
    if "UserData" in params:
        found["user_data"] = _user_data(params["UserData"])
    if params.get("InstanceInitiatedShutdownBehavior", "stop") != "stop":
        raise UnsupportedOperation(what="InstanceInitiatedShutdownBehavior terminate")
    return found


def _disks(params: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """What compute is told of disks. The root device becomes a volume where the mapping gives it a size; others are volumes,
    blank or of a snapshot, or local disks."""
    given = [each for each in params.get("BlockDeviceMappings", ()) if "NoDevice" not in each]
    if not given:
        return {}
    name = image.get("root_device_name", "/dev/vda")
    root = {"source_type": "image", "destination_type": "local", "uuid": image["id"], "boot_index": 0}
    disks = []
    for each in given:
        ebs, device = each.get("Ebs"), each.get("DeviceName")
        kept = {"delete_on_termination": (ebs or {}).get("DeleteOnTermination", True), "device_name": device}
        if device == name and ebs is not None and "SnapshotId" not in ebs:
            root |= kept | {"destination_type": "volume", "volume_size": ebs.get("VolumeSize", image["min_disk"] or 1)}
        elif ebs is not None:
            disks.append(kept | _volume(ebs))
        else:
            disks.append({"source_type": "blank", "destination_type": "local", "boot_index": -1, "device_name": device})
    return {"block_device_mapping_v2": [root, *disks]} | (
        {"imageRef": ""} if root["destination_type"] == "volume" else {}
    )


def _volume(ebs: dict[str, Any]) -> dict[str, Any]:
    disk: dict[str, Any] = {"destination_type": "volume", "boot_index": -1, "source_type": "blank"}
    if "SnapshotId" in ebs:
        disk |= {"source_type": "snapshot", "uuid": SNAPSHOT.uuid(ebs["SnapshotId"])}
    elif "VolumeSize" not in ebs:
        raise MissingParameter(name="BlockDeviceMapping.Ebs.VolumeSize")
    return disk | ({"volume_size": ebs["VolumeSize"]} if "VolumeSize" in ebs else {})


def _user_data(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidParameterValue(name="userData", value=text[:30], reason="It is not encoded in base64.") from None
    return text


async def _networks(call: Ec2Call) -> Any:
    """What compute is told: a network and perhaps an address, ports, or that it chooses."""
    params = call.params
    if interfaces := params.get("NetworkInterfaces"):
        ordered = sorted(interfaces, key=lambda each: each.get("DeviceIndex", 0))
        return [await _interface(call, each) for each in ordered]
    if "SubnetId" in params:
        return [await _interface(call, params)]
    if "PrivateIpAddress" in params:
        raise InvalidParameterCombination(reason="A private address needs its subnet.")
    return await _default_network(call)


async def _default_network(call: Ec2Call) -> Any:
    """The first of the default VPC, else one that is shared with all, else what compute allocates by itself."""
    networks = await Networks.of(call)
    mine = [each["network_id"] for each in networks.subnets if networks.vpc_of(each["id"]) is networks.default]
    if not mine:
        mine = [
            each["id"] for each in await call.network.all("/networks?shared=true&router:external=false", "networks")
        ]
    return [{"uuid": mine[0]}] if mine else "auto"


async def _interface(call: Ec2Call, given: dict[str, Any]) -> dict[str, str]:
    if "NetworkInterfaceId" in given:
        return {"port": INTERFACE.uuid(given["NetworkInterfaceId"])}
    if "SubnetId" not in given:
        raise MissingParameter(name="SubnetId")
    if given.get("AssociatePublicIpAddress"):
        raise UnsupportedOperation(what="AssociatePublicIpAddress: allocate and associate an address")
    subnet = (await Networks.of(call)).subnet(given["SubnetId"])
    wanted = {"uuid": str(subnet["network_id"])}
    return wanted | ({"fixed_ip": given["PrivateIpAddress"]} if "PrivateIpAddress" in given else {})


async def _groups(call: Ec2Call) -> dict[str, Any]:
    params = call.params
    ids, names = list(params.get("SecurityGroupIds", ())), list(params.get("SecurityGroups", ()))
    for each in params.get("NetworkInterfaces", ()):
        ids += each.get("Groups", ())
    if not ids and not names:
        return {}
    known = {GROUP.id(group["id"]): group for group in await security_groups.groups(call)}
    by_name = {group["name"]: group for group in known.values()}
    found = []
    for each, place in [(each, known) for each in ids] + [(each, by_name) for each in names]:
        if each not in place:
            raise coded("InvalidGroup.NotFound", f"The security group '{each[:100]}' does not exist")
        found.append({"name": place[each]["id"]})
    return {"security_groups": found}


def metadata_of(given: dict[str, Any]) -> dict[str, str]:
    """As a server's own metadata."""
    if given.get("HttpEndpoint", "enabled") != "enabled":
        raise UnsupportedOperation(what="HttpEndpoint disabled")
    tokens, hops = given.get("HttpTokens"), given.get("HttpPutResponseHopLimit")
    if tokens not in (None, "optional", "required"):
        raise InvalidParameterValue(
            name="httpTokens", value=str(tokens)[:50], reason="Known are optional and required."
        )
    if hops is not None and not 1 <= hops <= 64:
        raise InvalidParameterValue(
            name="httpPutResponseHopLimit", value=hops, reason="Expecting a value between 1 and 64."
        )
    return ({TOKENS: tokens} if tokens else {}) | ({HOPS: str(hops)} if hops is not None else {})
