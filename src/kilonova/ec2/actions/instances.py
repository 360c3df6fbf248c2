"""Instances, which are compute's servers."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from kilonova.ec2.actions import security_groups
from kilonova.ec2.actions.images import get as get_image
from kilonova.ec2.actions.instance_types import flavor_of
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import (
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    UnsupportedOperation,
    coded,
)
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import GROUP, INSTANCE, INTERFACE, RESERVATION, SNAPSHOT
from kilonova.ec2.instances import FILTERS, Instances, state
from kilonova.ec2.networks import Networks
from kilonova.ec2.once import once
from kilonova.ec2.paging import paged
from kilonova.ec2.tags import TYPE, specified

NOT_SERVED = (
    "IamInstanceProfile", "HibernationOptions", "EnclaveOptions", "CapacityReservationSpecification", "ElasticGpuSpecification",
    "ElasticInferenceAccelerators", "LaunchTemplate", "LicenseSpecifications", "InstanceMarketOptions",
)  # fmt: skip
CODES = {
    "NotFound": "InvalidParameterValue", "BadRequest": "InvalidParameterValue", "Forbidden": "InstanceLimitExceeded",
    "Conflict": "IncorrectState", "TooLarge": "InstanceLimitExceeded",
}  # fmt: skip
STATUS_FILTERS = {
    "availability-zone": at("AvailabilityZone"), "instance-state-name": at("InstanceState", "Name"),
    "instance-state-code": at("InstanceState", "Code"), "instance-status.status": at("InstanceStatus", "Status"),
    "system-status.status": at("SystemStatus", "Status"),
}  # fmt: skip


async def run_instances(call: Ec2Call) -> Result:
    for name in NOT_SERVED:
        if call.params.get(name):
            raise UnsupportedOperation(what=name)
    made = await once(call, lambda: _launch(call))
    found = (await Instances.of(call)).found
    shown = [found[each] for each in made if each in found]
    reservation = RESERVATION.id(INSTANCE.uuid(made[0]))
    return {"ReservationId": reservation, "OwnerId": call.project_id, "Groups": [], "Instances": shown}


async def _launch(call: Ec2Call) -> list[str]:
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
    if flavor["name"] != params.get("InstanceType", flavor["name"]):
        server["metadata"] = tags | {TYPE: params["InstanceType"]}
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


# ---- looking


async def describe_instances(call: Ec2Call) -> Result:
    instances, params = await Instances.of(call), call.params
    wanted = instances.named(params.get("InstanceIds", ()))
    page, token = paged(filtered(wanted, params.get("Filters"), FILTERS), params, ids="InstanceIds")
    shown = [
        {
            "ReservationId": RESERVATION.id(INSTANCE.uuid(each["InstanceId"])), "OwnerId": call.project_id, "Groups": [],
            "Instances": [each],
        }
        for each in page
    ]  # fmt: skip
    return {"Reservations": shown, "NextToken": token}


async def describe_instance_status(call: Ec2Call) -> Result:
    instances, params = await Instances.of(call), call.params
    found = instances.named(params.get("InstanceIds", ()))
    if not params.get("IncludeAllInstances"):
        found = [each for each in found if each["State"]["Name"] == "running"]
    shown = [
        {
            "InstanceId": each["InstanceId"], "InstanceState": each["State"], "Events": [],
            "AvailabilityZone": each["Placement"]["AvailabilityZone"],
            "InstanceStatus": _health(each), "SystemStatus": _health(each),
        }
        for each in found
    ]  # fmt: skip
    page, token = paged(filtered(shown, params.get("Filters"), STATUS_FILTERS), params, ids="InstanceIds")
    return {"InstanceStatuses": page, "NextToken": token}


def _health(instance: dict[str, Any]) -> dict[str, Any]:
    if instance["State"]["Name"] != "running":
        return {"Status": "not-applicable", "Details": []}
    return {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}


async def describe_instance_attribute(call: Ec2Call) -> Result:
    name = call.params["Attribute"]
    instance = (await Instances.of(call)).named([call.params["InstanceId"]])[0]
    server = (await call.compute.get(f"/servers/{INSTANCE.uuid(instance['InstanceId'])}"))["server"]
    values: dict[str, Any] = {
        "instanceType": {"InstanceType": {"Value": instance["InstanceType"]}},
        "instanceInitiatedShutdownBehavior": {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}},
        "disableApiTermination": {"DisableApiTermination": {"Value": server["locked"]}},
        "disableApiStop": {"DisableApiStop": {"Value": server["locked"]}},
        "rootDeviceName": {"RootDeviceName": {"Value": instance["RootDeviceName"]}},
        "kernel": {"KernelId": {"Value": instance.get("KernelId")}},
        "ramdisk": {"RamdiskId": {"Value": instance.get("RamdiskId")}},
        "sourceDestCheck": {"SourceDestCheck": {"Value": True}}, "ebsOptimized": {"EbsOptimized": {"Value": False}},
        "enaSupport": {"EnaSupport": {"Value": False}}, "groupSet": {"Groups": instance["SecurityGroups"]},
        "blockDeviceMapping": {"BlockDeviceMappings": instance["BlockDeviceMappings"]}, "productCodes": {"ProductCodes": []},
    }  # fmt: skip
    if "OS-EXT-SRV-ATTR:user_data" in server:  # whether the caller may see it is compute's policy
        values["userData"] = {"UserData": {"Value": server["OS-EXT-SRV-ATTR:user_data"] or ""}}
    if name not in values:
        raise InvalidParameterValue(name="attribute", value=name[:50], reason=f"Known are {', '.join(values)}.")
    found: Result = {"InstanceId": instance["InstanceId"]} | values[name]
    return found


async def modify_instance_attribute(call: Ec2Call) -> Result:
    """The type of a stopped instance (a resize), its groups, and whether it can be terminated (a lock)."""
    params = call.params
    path = f"/servers/{INSTANCE.uuid(params['InstanceId'])}/action"
    with refused(
        NotFound="InvalidInstanceID.NotFound", Conflict="IncorrectInstanceState", BadRequest="InvalidParameterValue"
    ):
        if "DisableApiTermination" in params:
            await call.compute.post(path, {"lock" if params["DisableApiTermination"].get("Value") else "unlock": None})
        elif "Groups" in params:
            await _set_groups(call, params["Groups"])
        elif "SourceDestCheck" in params and params["SourceDestCheck"].get("Value", True):
            await call.compute.get(path.removesuffix("/action"))
        else:
            raise UnsupportedOperation(what="this attribute can't be changed")
    return {}


async def _set_groups(call: Ec2Call, groups: list[str]) -> None:
    uuid = INSTANCE.uuid(call.params["InstanceId"])
    for port in await call.network.all(f"/ports?device_id={uuid}", "ports"):
        wanted = [GROUP.uuid(each) for each in groups]
        await call.network.put(f"/ports/{port['id']}", {"port": {"security_groups": wanted}})


async def get_console_output(call: Ec2Call) -> Result:
    instance = call.params["InstanceId"]
    with refused(NotFound="InvalidInstanceID.NotFound", Conflict="IncorrectInstanceState"):
        answer = await call.compute.post(f"/servers/{INSTANCE.uuid(instance)}/action", {"os-getConsoleOutput": {}})
    output = base64.b64encode(answer["output"].encode()[-(64 << 10) :]).decode()
    return {"InstanceId": instance, "Timestamp": call.cloud.clock.now(), "Output": output}


async def get_password_data(call: Ec2Call) -> Result:
    instance = call.params["InstanceId"]
    with refused(NotFound="InvalidInstanceID.NotFound"):
        found = await call.compute.get(f"/servers/{INSTANCE.uuid(instance)}/os-server-password")
    return {"InstanceId": instance, "Timestamp": call.cloud.clock.now(), "PasswordData": found["password"]}


# ---- changing their state


def changes(verb: dict[str, Any] | None, member: str | None, becomes: str, passed: tuple[str, ...] = ()) -> Any:
    """An action on several instances: `verb` is compute's action (None: they are deleted), `passed` are the states in which there
    is nothing to do."""

    async def action(call: Ec2Call) -> Result:
        asked = list(dict.fromkeys(call.params["InstanceIds"]))
        found = (await Instances.of(call)).named(asked)
        todo = [each for each in found if each["State"]["Name"] not in passed]
        with refused(
            NotFound="InvalidInstanceID.NotFound", Conflict="IncorrectInstanceState", Forbidden="OperationNotPermitted"
        ):
            await asyncio.gather(*[_change(call, each["InstanceId"], verb) for each in todo])
        if member is None:
            return {}
        now = {each["InstanceId"]: state(becomes) for each in todo}
        return {
            member: [
                {
                    "InstanceId": each["InstanceId"], "PreviousState": each["State"],
                    "CurrentState": now.get(each["InstanceId"], each["State"]),
                }
                for each in found
            ]
        }  # fmt: skip

    return action


async def _change(call: Ec2Call, instance: str, verb: dict[str, Any] | None) -> None:
    path = f"/servers/{INSTANCE.uuid(instance)}"
    if verb is None:
        await call.compute.delete(path)
    else:
        await call.compute.post(f"{path}/action", verb)


async def monitor(call: Ec2Call) -> Result:
    found = (await Instances.of(call)).named(call.params["InstanceIds"])
    return {
        "InstanceMonitorings": [{"InstanceId": each["InstanceId"], "Monitoring": each["Monitoring"]} for each in found]
    }


ACTIONS = {
    "RunInstances": run_instances,
    "DescribeInstances": describe_instances,
    "DescribeInstanceStatus": describe_instance_status,
    "DescribeInstanceAttribute": describe_instance_attribute,
    "ModifyInstanceAttribute": modify_instance_attribute,
    "GetConsoleOutput": get_console_output,
    "GetPasswordData": get_password_data,
    "RebootInstances": changes({"reboot": {"type": "SOFT"}}, None, "running"),
    "StartInstances": changes({"os-start": None}, "StartingInstances", "pending", ("running", "pending")),
    "StopInstances": changes({"os-stop": None}, "StoppingInstances", "stopping", ("stopped", "stopping")),
    "TerminateInstances": changes(None, "TerminatingInstances", "shutting-down", ("shutting-down",)),
    "UnmonitorInstances": monitor,
}
