"""VPCs and subnets."""

from __future__ import annotations

import ipaddress
from typing import Any

from kilonova.core import errors as core_errors
from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import InvalidParameterValue, MissingParameter, UnsupportedOperation, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import SUBNET, VPC
from kilonova.ec2.networks import Networks, Vpc, quietly
from kilonova.ec2.paging import paged
from kilonova.ec2.store.records import gateways
from kilonova.ec2.store.records import vpcs as store
from kilonova.ec2.tags import Tags, forget, write_specified

VPC_FILTERS = {
    "vpc-id": at("VpcId"), "cidr": at("CidrBlock"), "cidr-block": at("CidrBlock"), "state": at("State"),
    "is-default": at("IsDefault"), "isDefault": at("IsDefault"), "owner-id": at("OwnerId"),
    "dhcp-options-id": at("DhcpOptionsId"), "cidr-block-association.cidr-block": at("CidrBlockAssociationSet", "CidrBlock"),
}  # fmt: skip
SUBNET_FILTERS = {
    "subnet-id": at("SubnetId"), "vpc-id": at("VpcId"), "cidr": at("CidrBlock"), "cidr-block": at("CidrBlock"),
    "cidrBlock": at("CidrBlock"), "state": at("State"), "availability-zone": at("AvailabilityZone"),
    "availabilityZone": at("AvailabilityZone"), "owner-id": at("OwnerId"), "default-for-az": at("DefaultForAz"),
    "available-ip-address-count": at("AvailableIpAddressCount"), "map-public-ip-on-launch": at("MapPublicIpOnLaunch"),
}  # fmt: skip
VPC_ATTRIBUTES = {
    "enableDnsSupport": ("EnableDnsSupport", True), "enableDnsHostnames": ("EnableDnsHostnames", False),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
}  # fmt: skip
ACL_FILTERS = {
    "network-acl-id": at("NetworkAclId"), "vpc-id": at("VpcId"), "default": at("IsDefault"), "owner-id": at("OwnerId"),
    "association.subnet-id": at("Associations", "SubnetId"),
}  # fmt: skip


async def create_vpc(call: Ec2Call) -> Result:
    if "CidrBlock" not in call.params:
        raise MissingParameter(name="CidrBlock")
    cidr = _cidr(call.params["CidrBlock"], "InvalidVpc.Range")
    with refused(Conflict="VpcLimitExceeded"):
        made = (await call.network.post("/routers", {"router": {"name": "vpc"}}))["router"]
    row = {"id": made["id"], "project_id": call.project_id, "cidr": str(cidr), "routed": False}
    try:
        async with call.database.transaction() as tx:
            await store.add(tx.connection, row)
    except BaseException:
        await quietly(call.network.delete(f"/routers/{made['id']}"))
        raise
    vpc = Vpc(VPC.id(made["id"]), str(cidr), made)
    await write_specified(call, {"vpc": [vpc.id]})
    return {"Vpc": (await Tags.of(call)).on(vpc_view(call, vpc), "VpcId")}


async def describe_vpcs(call: Ec2Call) -> Result:
    networks, tags, ids = await Networks.of(call), await Tags.of(call), call.params.get("VpcIds", ())
    wanted = [networks.vpc(each) for each in dict.fromkeys(ids)] or networks.vpcs
    shown = [tags.on(vpc_view(call, each), "VpcId") for each in wanted]
    page, token = paged(filtered(shown, call.params.get("Filters"), VPC_FILTERS), call.params, ids="VpcIds")
    return {"Vpcs": page, "NextToken": token}


async def delete_vpc(call: Ec2Call) -> Result:
    networks = await Networks.of(call)
    vpc = networks.vpc(call.params["VpcId"])
    if vpc.router is None:
        raise coded("OperationNotPermitted", "The default VPC is all networks without a router: it can't be deleted.")
    async with call.database.reading() as connection:
        attached = await gateways.count(connection, vpc_id=vpc.router["id"])
    if attached or any(networks.vpc_of(each["id"]) == vpc for each in networks.subnets):
        raise coded("DependencyViolation", f"The vpc '{vpc.id}' has dependencies and cannot be deleted.")
    with refused(Conflict="DependencyViolation", NotFound="InvalidVpcID.NotFound"):
        await call.network.delete(f"/routers/{vpc.router['id']}")
    async with call.database.transaction() as tx:
        await store.remove(tx.connection, id=vpc.router["id"])
    await forget(call, vpc.id)
    return {}


async def describe_vpc_attribute(call: Ec2Call) -> Result:
    networks, name = await Networks.of(call), call.params["Attribute"]
    vpc = networks.vpc(call.params["VpcId"])
    if name not in VPC_ATTRIBUTES:
        raise InvalidParameterValue(name="attribute", value=name[:50], reason=f"Known are {', '.join(VPC_ATTRIBUTES)}.")
    member, value = VPC_ATTRIBUTES[name]
    return {"VpcId": vpc.id, member: {"Value": value}}


def vpc_view(call: Ec2Call, vpc: Vpc) -> dict[str, Any]:
    association = {
        "AssociationId": vpc.id.replace("vpc-", "vpc-cidr-assoc-"), "CidrBlock": vpc.cidr,
        "CidrBlockState": {"State": "associated"},
    }  # fmt: skip
    return {
        "VpcId": vpc.id, "CidrBlock": vpc.cidr, "State": "available", "IsDefault": vpc.router is None, "OwnerId": call.project_id,
        "DhcpOptionsId": "default", "InstanceTenancy": "default", "CidrBlockAssociationSet": [association],
        "Ipv6CidrBlockAssociationSet": [],
    }  # fmt: skip


async def modify_vpc_attribute(call: Ec2Call) -> Result:
    """All that can be changed is what is so anyway."""
    (await Networks.of(call)).vpc(call.params["VpcId"])
    for member, value in VPC_ATTRIBUTES.values():
        if call.params.get(member, {}).get("Value", value) != value:
            raise UnsupportedOperation(what=member)
    return {}


async def describe_network_acls(call: Ec2Call) -> Result:
    """Each VPC has its default one alone, which lets everything through: security groups are what filters."""
    networks = await Networks.of(call)
    shown = [_acl(call, networks, vpc) for vpc in networks.vpcs]
    ids = call.params.get("NetworkAclIds", ())
    if missing := sorted(set(ids) - {item["NetworkAclId"] for item in shown}):
        raise coded("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{missing[0][:100]}' does not exist")
    shown = [item for item in shown if not ids or item["NetworkAclId"] in ids]
    page, token = paged(filtered(shown, call.params.get("Filters"), ACL_FILTERS), call.params, ids="NetworkAclIds")
    return {"NetworkAcls": page, "NextToken": token}


def _acl(call: Ec2Call, networks: Networks, vpc: Vpc) -> dict[str, Any]:
    acl = vpc.id.replace("vpc-", "acl-")
    subnets = [SUBNET.id(each["id"]) for each in networks.subnets if networks.vpc_of(each["id"]) == vpc]
    entries = [
        {"RuleNumber": number, "Protocol": "-1", "RuleAction": verb, "Egress": egress, "CidrBlock": "0.0.0.0/0"}
        for egress in (True, False)
        for number, verb in ((100, "allow"), (32767, "deny"))
    ]
    return {
        "NetworkAclId": acl, "VpcId": vpc.id, "IsDefault": True, "OwnerId": call.project_id, "Entries": entries, "Tags": [],
        "Associations": [
            {"NetworkAclAssociationId": each.replace("subnet-", "aclassoc-"), "NetworkAclId": acl, "SubnetId": each}
            for each in subnets
        ],
    }  # fmt: skip


# ---- subnets


async def create_subnet(call: Ec2Call) -> Result:
    networks = await Networks.of(call)
    vpc = networks.vpc(call.params["VpcId"])
    if "CidrBlock" not in call.params:
        raise MissingParameter(name="CidrBlock")
    cidr = _cidr(call.params["CidrBlock"], "InvalidSubnet.Range")
    if not cidr.subnet_of(ipaddress.IPv4Network(vpc.cidr)):
        raise coded("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.")
    for each in networks.subnets:
        if networks.vpc_of(each["id"]) == vpc and cidr.overlaps(ipaddress.IPv4Network(each["cidr"])):
            raise coded("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")
    made = await _make(call, vpc, str(cidr))
    subnet = SUBNET.id(made["id"])
    await write_specified(call, {"subnet": [subnet]})
    view = subnet_view(call, made, vpc, await _zone(call), {})
    return {"Subnet": (await Tags.of(call)).on(view, "SubnetId")}


async def _make(call: Ec2Call, vpc: Vpc, cidr: str) -> dict[str, Any]:
    """The subnet; what was made of it is taken away when a part of it fails."""
    with refused(Conflict="SubnetLimitExceeded", BadRequest="InvalidSubnet.Range"):
        network = (await call.network.post("/networks", {"network": {"name": f"subnet {cidr}"}}))["network"]
        try:
            body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": cidr}}
            made: dict[str, Any] = (await call.network.post("/subnets", body))["subnet"]
            if vpc.router is not None:
                path = f"/routers/{vpc.router['id']}/add_router_interface"
                await call.network.put(path, {"subnet_id": made["id"]})
        except BaseException:
            await quietly(call.network.delete(f"/networks/{network['id']}"))
            raise
    return made


async def describe_subnets(call: Ec2Call) -> Result:
    networks, tags, ids = await Networks.of(call), await Tags.of(call), call.params.get("SubnetIds", ())
    wanted = [networks.subnet(each) for each in dict.fromkeys(ids)] or networks.subnets
    ports = await call.network.all(f"/ports?project_id={call.project_id}", "ports")
    used: dict[str, int] = {}
    for ip in (ip for port in ports for ip in port["fixed_ips"]):
        used[ip["subnet_id"]] = used.get(ip["subnet_id"], 0) + 1
    zone = await _zone(call)
    shown = [tags.on(subnet_view(call, each, networks.vpc_of(each["id"]), zone, used), "SubnetId") for each in wanted]
    page, token = paged(filtered(shown, call.params.get("Filters"), SUBNET_FILTERS), call.params, ids="SubnetIds")
    return {"Subnets": page, "NextToken": token}


async def delete_subnet(call: Ec2Call) -> Result:
    networks = await Networks.of(call)
    subnet = networks.subnet(call.params["SubnetId"])
    vpc, path = networks.vpc_of(subnet["id"]), f"/ports?network_id={subnet['network_id']}"
    ports = await call.network.all(path, "ports")
    if any(not port["device_owner"].startswith("network:") for port in ports):
        raise coded(
            "DependencyViolation", f"The subnet '{call.params['SubnetId']}' has dependencies and cannot be deleted."
        )
    with refused(Conflict="DependencyViolation"):
        if vpc.router is not None:
            try:
                path = f"/routers/{vpc.router['id']}/remove_router_interface"
                await call.network.put(path, {"subnet_id": subnet["id"]})
            except core_errors.NotFound:
                pass  # by an earlier try
        await call.network.delete(f"/networks/{subnet['network_id']}")
    await forget(call, call.params["SubnetId"])
    return {}


async def modify_subnet_attribute(call: Ec2Call) -> Result:
    (await Networks.of(call)).subnet(call.params["SubnetId"])
    if call.params.get("MapPublicIpOnLaunch", {}).get("Value"):
        raise coded("UnsupportedOperation", "Public addresses are allocated and associated, not mapped on launch.")
    return {}


async def _zone(call: Ec2Call) -> str:
    """The networks reach all zones; clients want one named."""
    zones = (await call.compute.get("/os-availability-zone"))["availabilityZoneInfo"]
    return str(zones[0]["zoneName"]) if zones else "nova"


def subnet_view(call: Ec2Call, subnet: dict[str, Any], vpc: Vpc, zone: str, used: dict[str, int]) -> dict[str, Any]:
    room = sum(
        int(ipaddress.IPv4Address(pool["end"])) - int(ipaddress.IPv4Address(pool["start"])) + 1
        for pool in subnet["allocation_pools"]
    )
    return {
        "SubnetId": SUBNET.id(subnet["id"]), "VpcId": vpc.id, "CidrBlock": subnet["cidr"], "State": "available",
        "AvailabilityZone": zone, "AvailabilityZoneId": zone, "OwnerId": call.project_id, "DefaultForAz": vpc.router is None,
        "MapPublicIpOnLaunch": False, "AssignIpv6AddressOnCreation": False, "Ipv6CidrBlockAssociationSet": [],
        "AvailableIpAddressCount": max(0, room - used.get(subnet["id"], 0)),
        "SubnetArn": f"arn:aws:ec2:{call.cloud.region}:{call.project_id}:subnet/{SUBNET.id(subnet['id'])}",
    }  # fmt: skip


def _cidr(text: str, code: str) -> ipaddress.IPv4Network:
    try:
        found = ipaddress.IPv4Network(text)
    except ValueError:
        raise InvalidParameterValue(
            name="cidrBlock", value=text[:50], reason="This is not a valid CIDR block."
        ) from None
    if not 16 <= found.prefixlen <= 28:
        raise coded(code, f"The CIDR '{found}' is invalid: blocks are between /16 and /28.")
    return found


ACTIONS = {
    "CreateVpc": create_vpc,
    "DescribeVpcs": describe_vpcs,
    "DeleteVpc": delete_vpc,
    "DescribeVpcAttribute": describe_vpc_attribute,
    "ModifyVpcAttribute": modify_vpc_attribute,
    "DescribeNetworkAcls": describe_network_acls,
    "CreateSubnet": create_subnet,
    "DescribeSubnets": describe_subnets,
    "DeleteSubnet": delete_subnet,
    "ModifySubnetAttribute": modify_subnet_attribute,
}
