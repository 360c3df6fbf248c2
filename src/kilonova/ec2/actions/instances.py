"""Instances, which are compute's servers."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import (
    InvalidParameterValue,
    UnsupportedOperation,
)
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import GROUP, INSTANCE, RESERVATION
from kilonova.ec2.instances import FILTERS, Instances, metadata_options, state
from kilonova.ec2.launch import launch, metadata_of
from kilonova.ec2.once import once
from kilonova.ec2.paging import paged

NOT_SERVED = (
    "IamInstanceProfile", "HibernationOptions", "EnclaveOptions", "CapacityReservationSpecification", "ElasticGpuSpecification",
    "ElasticInferenceAccelerators", "LaunchTemplate", "LicenseSpecifications", "InstanceMarketOptions",
)  # fmt: skip
STATUS_FILTERS = {
    "availability-zone": at("AvailabilityZone"), "instance-state-name": at("InstanceState", "Name"),
    "instance-state-code": at("InstanceState", "Code"), "instance-status.status": at("InstanceStatus", "Status"),
    "system-status.status": at("SystemStatus", "Status"),
}  # fmt: skip


async def run_instances(call: Ec2Call) -> Result:
    for name in NOT_SERVED:
        if _asks(call.params.get(name)):
            raise UnsupportedOperation(what=name)
    made = await once(call, lambda: launch(call))
    found = (await Instances.of(call)).found
    shown = [found[each] for each in made if each in found]
    reservation = RESERVATION.id(INSTANCE.uuid(made[0]))
    return {"ReservationId": reservation, "OwnerId": call.project_id, "Groups": [], "Instances": shown}


def _asks(given: Any) -> bool:
    """Whether something is wanted; clients also say what they do not want."""
    if isinstance(given, dict):
        return any(_asks(value) for value in given.values())
    return bool(given) and given not in ("open", "none")


# ---- looking


async def describe_instances(call: Ec2Call) -> Result:
    params = call.params
    instances = await Instances.of(call, params.get("InstanceIds", ()))
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
    params = call.params
    instances = await Instances.of(call, params.get("InstanceIds", ()))
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
    if name == "userData":
        values[name] = {"UserData": {"Value": await call.user_data(server["id"]) or None}}
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


async def modify_instance_metadata_options(call: Ec2Call) -> Result:
    path, changed = f"/servers/{INSTANCE.uuid(call.params['InstanceId'])}/metadata", metadata_of(call.params)
    with refused(NotFound="InvalidInstanceID.NotFound", Conflict="IncorrectInstanceState"):
        held = (await call.compute.get(path))["metadata"]
        if changed:
            await call.compute.post(path, {"metadata": changed})
    return {"InstanceId": call.params["InstanceId"], "InstanceMetadataOptions": metadata_options(held | changed)}


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
        found = (await Instances.of(call, asked)).named(asked)
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
    "ModifyInstanceMetadataOptions": modify_instance_metadata_options,
    "GetConsoleOutput": get_console_output,
    "GetPasswordData": get_password_data,
    "RebootInstances": changes({"reboot": {"type": "SOFT"}}, None, "running"),
    "StartInstances": changes({"os-start": None}, "StartingInstances", "pending", ("running", "pending")),
    "StopInstances": changes({"os-stop": None}, "StoppingInstances", "stopping", ("stopped", "stopping")),
    "TerminateInstances": changes(None, "TerminatingInstances", "shutting-down", ("shutting-down", "terminated")),
    "UnmonitorInstances": monitor,
}
