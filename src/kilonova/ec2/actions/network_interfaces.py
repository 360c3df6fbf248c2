"""Network interfaces, which are the network service's ports; attached to instances by compute."""

from __future__ import annotations

import asyncio
from typing import Any

from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import UnsupportedOperation, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import ATTACHMENT, GROUP, INSTANCE, INTERFACE
from kilonova.ec2.instances import interface
from kilonova.ec2.networks import Networks
from kilonova.ec2.paging import paged
from kilonova.ec2.tags import Tags, forget, write_specified

GUESTS = "compute:"
FILTERS = {
    "network-interface-id": at("NetworkInterfaceId"), "vpc-id": at("VpcId"), "subnet-id": at("SubnetId"),
    "group-id": at("Groups", "GroupId"), "group-name": at("Groups", "GroupName"), "mac-address": at("MacAddress"),
    "description": at("Description"), "owner-id": at("OwnerId"), "status": at("Status"),
    "private-ip-address": at("PrivateIpAddress"), "addresses.private-ip-address": at("PrivateIpAddresses", "PrivateIpAddress"),
    "attachment.attachment-id": at("Attachment", "AttachmentId"), "attachment.instance-id": at("Attachment", "InstanceId"),
    "attachment.status": at("Attachment", "Status"), "attachment.device-index": at("Attachment", "DeviceIndex"),
    "attachment.instance-owner-id": at("Attachment", "InstanceOwnerId"), "interface-type": at("InterfaceType"),
    "association.public-ip": at("Association", "PublicIp"), "requester-managed": at("RequesterManaged"),
}  # fmt: skip


async def describe_network_interfaces(call: Ec2Call) -> Result:
    params = call.params
    shown = await _all(call)
    ids = params.get("NetworkInterfaceIds", ())
    if missing := sorted(set(ids) - {item["NetworkInterfaceId"] for item in shown}):
        INTERFACE.uuid(missing[0])
        raise INTERFACE.not_found(missing[0])
    shown = [item for item in shown if not ids or item["NetworkInterfaceId"] in ids]
    page, token = paged(filtered(shown, params.get("Filters"), FILTERS), params, ids="NetworkInterfaceIds")
    return {"NetworkInterfaces": page, "NextToken": token}


async def _all(call: Ec2Call) -> list[dict[str, Any]]:
    """Those of guests, and those that are attached to nothing."""
    ports, floating, groups, networks, tags = await asyncio.gather(
        call.network.all(f"/ports?project_id={call.project_id}", "ports"),
        call.network.all(f"/floatingips?project_id={call.project_id}", "floatingips"),
        call.network.all(f"/security-groups?project_id={call.project_id}&fields=id&fields=name", "security_groups"),
        Networks.of(call),
        Tags.of(call),
    )
    public = {each["port_id"]: each["floating_ip_address"] for each in floating if each["port_id"]}
    names = {group["id"]: group["name"] for group in groups}
    mine = [each for each in ports if not each["device_owner"] or each["device_owner"].startswith(GUESTS)]
    return [tags.on(_view(port, public, names, networks), "NetworkInterfaceId", "TagSet") for port in mine]


def _view(port: dict[str, Any], public: dict[str, str], names: dict[str, str], networks: Networks) -> dict[str, Any]:
    shown = interface(port, 0, public, names, networks) | {"RequesterManaged": False}
    if port["device_owner"].startswith(GUESTS):
        shown["Attachment"] |= {"InstanceId": INSTANCE.id(port["device_id"]), "InstanceOwnerId": port["project_id"]}
        return shown
    return {name: value for name, value in shown.items() if name != "Attachment"} | {"Status": "available"}


async def create_network_interface(call: Ec2Call) -> Result:
    params = call.params
    subnet = (await Networks.of(call)).subnet(params["SubnetId"])
    fixed = {"subnet_id": subnet["id"]}
    if "PrivateIpAddress" in params:
        fixed["ip_address"] = params["PrivateIpAddress"]
    port: dict[str, Any] = {
        "network_id": subnet["network_id"], "fixed_ips": [fixed], "description": params.get("Description", ""),
    }  # fmt: skip
    if "Groups" in params:
        port["security_groups"] = [GROUP.uuid(each) for each in params["Groups"]]
    with refused(
        NotFound="InvalidGroup.NotFound", Conflict="InvalidIPAddress.InUse", BadRequest="InvalidParameterValue"
    ):
        made = (await call.network.post("/ports", {"port": port}))["port"]
    found = INTERFACE.id(made["id"])
    await write_specified(call, {"network-interface": [found]})
    return {"NetworkInterface": next(item for item in await _all(call) if item["NetworkInterfaceId"] == found)}


async def delete_network_interface(call: Ec2Call) -> Result:
    wanted = call.params["NetworkInterfaceId"]
    port = await _port(call, wanted)
    if port["device_owner"]:
        raise coded("InvalidParameterValue", f"Network interface '{wanted}' is currently in use.")
    with refused(NotFound="InvalidNetworkInterfaceID.NotFound", Conflict="InvalidParameterValue"):
        await call.network.delete(f"/ports/{port['id']}")
    await forget(call, wanted)
    return {}


async def attach_network_interface(call: Ec2Call) -> Result:
    port = await _port(call, call.params["NetworkInterfaceId"])
    path = f"/servers/{INSTANCE.uuid(call.params['InstanceId'])}/os-interface"
    with refused(
        NotFound="InvalidInstanceID.NotFound", BadRequest="InvalidNetworkInterface.InUse", Conflict="IncorrectState"
    ):
        await call.compute.post(path, {"interfaceAttachment": {"port_id": port["id"]}})
    return {"AttachmentId": ATTACHMENT.id(port["id"])}


async def detach_network_interface(call: Ec2Call) -> Result:
    port = await _port(call, INTERFACE.id(ATTACHMENT.uuid(call.params["AttachmentId"])))
    if not port["device_owner"].startswith(GUESTS):
        raise ATTACHMENT.not_found(call.params["AttachmentId"])
    with refused(NotFound="InvalidAttachmentID.NotFound", Conflict="IncorrectState"):
        await call.compute.delete(f"/servers/{port['device_id']}/os-interface/{port['id']}")
    return {}


async def modify_network_interface_attribute(call: Ec2Call) -> Result:
    params, changed = call.params, {}
    port = await _port(call, params["NetworkInterfaceId"])
    if "Groups" in params:
        changed["security_groups"] = [GROUP.uuid(each) for each in params["Groups"]]
    if "Description" in params:
        changed["description"] = params["Description"].get("Value", "")
    if not params.get("SourceDestCheck", {}).get("Value", True):
        raise UnsupportedOperation(what="SourceDestCheck false")
    with refused(NotFound="InvalidGroup.NotFound", BadRequest="InvalidParameterValue"):
        if changed:
            await call.network.put(f"/ports/{port['id']}", {"port": changed})
    return {}


async def _port(call: Ec2Call, wanted: str) -> dict[str, Any]:
    with refused(NotFound="InvalidNetworkInterfaceID.NotFound"):
        return dict((await call.network.get(f"/ports/{INTERFACE.uuid(wanted)}"))["port"])


ACTIONS = {
    "DescribeNetworkInterfaces": describe_network_interfaces,
    "CreateNetworkInterface": create_network_interface,
    "DeleteNetworkInterface": delete_network_interface,
    "AttachNetworkInterface": attach_network_interface,
    "DetachNetworkInterface": detach_network_interface,
    "ModifyNetworkInterfaceAttribute": modify_network_interface_attribute,
}
