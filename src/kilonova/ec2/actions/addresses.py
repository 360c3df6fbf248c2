"""Elastic addresses, which are the network service's floating IPs."""

from __future__ import annotations

from typing import Any

from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import MissingParameter, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import ALLOCATION, ASSOCIATION, INSTANCE, INTERFACE
from kilonova.ec2.networks import external_network
from kilonova.ec2.tags import Tags, forget, write_specified

PATH = "/floatingips"
FILTERS = {
    "allocation-id": at("AllocationId"), "association-id": at("AssociationId"), "domain": at("Domain"),
    "instance-id": at("InstanceId"), "network-interface-id": at("NetworkInterfaceId"),
    "network-interface-owner-id": at("NetworkInterfaceOwnerId"), "private-ip-address": at("PrivateIpAddress"),
    "public-ip": at("PublicIp"),
}  # fmt: skip


async def allocate_address(call: Ec2Call) -> Result:
    wanted = {"floating_network_id": await external_network(call)}
    if "Address" in call.params:
        wanted["floating_ip_address"] = call.params["Address"]
    with refused(
        Conflict="AddressLimitExceeded", BadRequest="InvalidParameterValue", Forbidden="UnauthorizedOperation"
    ):
        made = (await call.network.post(PATH, {"floatingip": wanted}))["floatingip"]
    allocation = ALLOCATION.id(made["id"])
    await write_specified(call, {"elastic-ip": [allocation]})
    return {"PublicIp": made["floating_ip_address"], "AllocationId": allocation, "Domain": "vpc"}


async def describe_addresses(call: Ec2Call) -> Result:
    tags, params = await Tags.of(call), call.params
    found = await _all(call)
    of_port = {port["id"]: port for port in await call.network.all(f"/ports?project_id={call.project_id}", "ports")}
    shown = [tags.on(_view(each, of_port), "AllocationId") for each in found]
    for key, name in (("AllocationId", "AllocationIds"), ("PublicIp", "PublicIps")):
        asked = params.get(name, ())
        if missing := sorted(set(asked) - {item[key] for item in shown}):
            if name == "AllocationIds":
                ALLOCATION.uuid(missing[0])
                raise ALLOCATION.not_found(missing[0])
            raise coded("InvalidAddress.NotFound", f"Address '{missing[0][:100]}' not found.")
        shown = [item for item in shown if not asked or item[key] in asked]
    return {"Addresses": filtered(shown, params.get("Filters"), FILTERS)}


async def associate_address(call: Ec2Call) -> Result:
    params, address = call.params, await _address(call)
    port = await _port(call)
    if address["port_id"] not in (None, port["id"]) and not params.get("AllowReassociation"):
        raise coded("Resource.AlreadyAssociated", f"resource {ALLOCATION.id(address['id'])} is already associated")
    wanted = {"port_id": port["id"]}
    if "PrivateIpAddress" in params:
        wanted["fixed_ip_address"] = params["PrivateIpAddress"]
    with refused(
        NotFound="Gateway.NotAttached", BadRequest="InvalidParameterValue", Conflict="Resource.AlreadyAssociated"
    ):
        await call.network.put(f"{PATH}/{address['id']}", {"floatingip": wanted})
    return {"AssociationId": ASSOCIATION.id(address["id"])}


async def disassociate_address(call: Ec2Call) -> Result:
    address = await _address(call)
    if address["port_id"] is not None:
        await call.network.put(f"{PATH}/{address['id']}", {"floatingip": {"port_id": None}})
    elif "AssociationId" in call.params:
        raise ASSOCIATION.not_found(call.params["AssociationId"])
    return {}


async def release_address(call: Ec2Call) -> Result:
    address = await _address(call)
    if address["port_id"] is not None:
        raise coded("InvalidIPAddress.InUse", f"Address {address['floating_ip_address']} is in use.")
    with refused(NotFound="InvalidAllocationID.NotFound", Conflict="InvalidIPAddress.InUse"):
        await call.network.delete(f"{PATH}/{address['id']}")
    await forget(call, ALLOCATION.id(address["id"]))
    return {}


async def _all(call: Ec2Call) -> list[dict[str, Any]]:
    return await call.network.all(f"{PATH}?project_id={call.project_id}", "floatingips")


async def _address(call: Ec2Call) -> dict[str, Any]:
    """The one that `AllocationId`, `AssociationId` or `PublicIp` names."""
    params = call.params
    for name, kind in (("AllocationId", ALLOCATION), ("AssociationId", ASSOCIATION)):
        if name in params:
            with refused(NotFound=f"{kind.code}.NotFound"):
                return dict((await call.network.get(f"{PATH}/{kind.uuid(params[name])}"))["floatingip"])
    if "PublicIp" not in params:
        raise MissingParameter(name="AllocationId")
    for each in await _all(call):
        if each["floating_ip_address"] == params["PublicIp"]:
            return each
    raise coded("InvalidAddress.NotFound", f"Address '{params['PublicIp'][:50]}' not found.")


async def _port(call: Ec2Call) -> dict[str, Any]:
    params = call.params
    if "NetworkInterfaceId" in params:
        with refused(NotFound="InvalidNetworkInterfaceID.NotFound"):
            return dict((await call.network.get(f"/ports/{INTERFACE.uuid(params['NetworkInterfaceId'])}"))["port"])
    if "InstanceId" not in params:
        raise MissingParameter(name="InstanceId or NetworkInterfaceId")
    uuid = INSTANCE.uuid(params["InstanceId"])
    with refused(NotFound="InvalidInstanceID.NotFound"):
        await call.compute.get(f"/servers/{uuid}")
    ports = await call.network.all(f"/ports?device_id={uuid}", "ports")
    if not ports:
        raise coded("InvalidInstanceID", f"Instance {params['InstanceId']} has no network interface.")
    return ports[0]


def _view(address: dict[str, Any], ports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    view: dict[str, Any] = {
        "AllocationId": ALLOCATION.id(address["id"]), "PublicIp": address["floating_ip_address"], "Domain": "vpc",
    }  # fmt: skip
    port = ports.get(address["port_id"] or "")
    if address["port_id"]:
        view |= {
            "AssociationId": ASSOCIATION.id(address["id"]), "PrivateIpAddress": address["fixed_ip_address"],
            "NetworkInterfaceId": INTERFACE.id(address["port_id"]), "NetworkInterfaceOwnerId": address["project_id"],
        }  # fmt: skip
    if port is not None and port["device_owner"].startswith("compute:"):
        view["InstanceId"] = INSTANCE.id(port["device_id"])
    return view


ACTIONS = {
    "AllocateAddress": allocate_address,
    "DescribeAddresses": describe_addresses,
    "AssociateAddress": associate_address,
    "DisassociateAddress": disassociate_address,
    "ReleaseAddress": release_address,
}
