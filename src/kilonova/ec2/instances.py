"""A project's servers as EC2 shows them, with what the network service knows of their interfaces."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.clock import parse_iso
from kilonova.ec2 import tags
from kilonova.ec2.call import Ec2Call
from kilonova.ec2.filters import at
from kilonova.ec2.ids import ATTACHMENT, GROUP, IMAGE, INSTANCE, INTERFACE, SUBNET, VOLUME
from kilonova.ec2.networks import Networks

REMEMBERED = dt.timedelta(hours=1)  # as Amazon shows what was terminated
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
HOPS = frozenset(map(str, range(1, 65)))
STATES = {
    "BUILD": "pending", "REBUILD": "pending", "ACTIVE": "running", "REBOOT": "running", "HARD_REBOOT": "running",
    "PASSWORD": "running", "RESIZE": "running", "VERIFY_RESIZE": "running", "MIGRATING": "running", "RESCUE": "running",
    "REVERT_RESIZE": "running", "PAUSED": "running", "SHUTOFF": "stopped", "SUSPENDED": "stopped", "SHELVED": "stopped",
    "SHELVED_OFFLOADED": "stopped", "SOFT_DELETED": "terminated", "DELETED": "terminated",
}  # fmt: skip
TASKS = {
    "powering-off": "stopping",
    "powering-on": "pending",
    "deleting": "shutting-down",
    "soft-deleting": "shutting-down",
}
FILTERS = {
    "instance-id": at("InstanceId"), "instance-state-name": at("State", "Name"), "instance-state-code": at("State", "Code"),
    "instance-type": at("InstanceType"), "image-id": at("ImageId"), "key-name": at("KeyName"), "vpc-id": at("VpcId"),
    "subnet-id": at("SubnetId"), "private-ip-address": at("PrivateIpAddress"), "private-dns-name": at("PrivateDnsName"),
    "ip-address": at("PublicIpAddress"), "dns-name": at("PublicDnsName"), "architecture": at("Architecture"),
    "availability-zone": at("Placement", "AvailabilityZone"), "launch-time": at("LaunchTime"), "owner-id": at("OwnerId"),
    "group-id": at("SecurityGroups", "GroupId"), "group-name": at("SecurityGroups", "GroupName"),
    "instance.group-id": at("SecurityGroups", "GroupId"), "instance.group-name": at("SecurityGroups", "GroupName"),
    "root-device-name": at("RootDeviceName"), "root-device-type": at("RootDeviceType"), "hypervisor": at("Hypervisor"),
    "virtualization-type": at("VirtualizationType"), "reservation-id": at("ReservationId"), "tenancy": at("Placement", "Tenancy"),
    "network-interface.network-interface-id": at("NetworkInterfaces", "NetworkInterfaceId"),
    "network-interface.subnet-id": at("NetworkInterfaces", "SubnetId"),
    "network-interface.addresses.private-ip-address": at("NetworkInterfaces", "PrivateIpAddresses", "PrivateIpAddress"),
    "block-device-mapping.volume-id": at("BlockDeviceMappings", "Ebs", "VolumeId"),
    "block-device-mapping.device-name": at("BlockDeviceMappings", "DeviceName"),
}  # fmt: skip


def state(name: str) -> dict[str, Any]:
    return {"Name": name, "Code": CODES[name]}


class Instances:
    """`found`: id → instance, in the order of their making, the newest first."""

    def __init__(self, found: Mapping[str, dict[str, Any]]) -> None:
        self.found = found

    @classmethod
    async def of(cls, call: Ec2Call, wanted: Sequence[str] = ()) -> Instances:
        """All that there are, and those of `wanted` that were terminated lately: clients wait to see that."""
        servers, ports, floating, groups, volumes, networks = await asyncio.gather(
            call.compute.all("/servers/detail", "servers"),
            call.network.all(f"/ports?project_id={call.project_id}", "ports"),
            call.network.all(f"/floatingips?project_id={call.project_id}", "floatingips"),
            call.network.all(f"/security-groups?project_id={call.project_id}&fields=id&fields=name", "security_groups"),
            call.volume.all("/volumes/detail?status=in-use", "volumes"),
            Networks.of(call),
        )
        names = {group["id"]: group["name"] for group in groups}
        public = {each["port_id"]: each["floating_ip_address"] for each in floating if each["port_id"]}
        of_server: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for port in ports:
            of_server[port["device_id"]].append(port)
        disks: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for volume in volumes:
            for attached in volume["attachments"]:
                disks[attached["server_id"]].append(_device(volume, attached))
        there = {INSTANCE.id(each["id"]) for each in servers}
        if not there.issuperset(wanted):
            servers += [each for each in await _deleted(call) if INSTANCE.id(each["id"]) in wanted]
        shown = [_view(call, each, of_server[each["id"]], public, names, networks) for each in servers]
        for each in shown:
            each["BlockDeviceMappings"] = disks[INSTANCE.uuid(each["InstanceId"])]
            if any(device["DeviceName"] == each["RootDeviceName"] for device in each["BlockDeviceMappings"]):
                each["RootDeviceType"] = "ebs"
        return cls({each["InstanceId"]: each for each in shown})

    def named(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """These, or all where none is named. Raises CodedError."""
        if not ids:
            return list(self.found.values())
        for each in ids:
            if each not in self.found:
                INSTANCE.uuid(each)
                raise INSTANCE.not_found(each)
        return [self.found[each] for each in dict.fromkeys(ids)]


async def _deleted(call: Ec2Call) -> list[dict[str, Any]]:
    since = (call.cloud.clock.now() - REMEMBERED).strftime("%Y-%m-%dT%H:%M:%SZ")
    changed = await call.compute.all(f"/servers/detail?changes-since={since}", "servers")
    return [each for each in changed if each["status"] == "DELETED"]


def _view(
    call: Ec2Call, server: dict[str, Any], ports: Sequence[dict[str, Any]], public: Mapping[str, str],
    groups: Mapping[str, str], networks: Networks,
) -> dict[str, Any]:  # fmt: skip
    interfaces = [interface(port, number, public, groups, networks) for number, port in enumerate(ports)]
    first = interfaces[0] if interfaces else {}
    name = _state(server)
    zone = server.get("OS-EXT-AZ:availability_zone") or "nova"
    view: dict[str, Any] = {
        "InstanceId": INSTANCE.id(server["id"]), "State": state(name),
        "InstanceType": server["metadata"].get(tags.TYPE) or server["flavor"]["original_name"],
        "LaunchTime": parse_iso(server.get("OS-SRV-USG:launched_at") or server["created"]),
        "Placement": {"AvailabilityZone": zone, "GroupName": "", "Tenancy": "default"}, "Monitoring": {"State": "disabled"},
        "Architecture": "x86_64", "Hypervisor": "xen", "VirtualizationType": "hvm", "EbsOptimized": False, "ProductCodes": [],
        "RootDeviceName": server.get("OS-EXT-SRV-ATTR:root_device_name") or "/dev/vda", "RootDeviceType": "instance-store",
        "AmiLaunchIndex": 0, "SourceDestCheck": True, "StateTransitionReason": "",
        "PrivateDnsName": server.get("OS-EXT-SRV-ATTR:hostname") or server["name"], "PublicDnsName": "",
        "SecurityGroups": first.get("Groups", []), "NetworkInterfaces": interfaces, "Tags": tags.of_server(server),
    }  # fmt: skip
    view["MetadataOptions"] = metadata_options(server["metadata"])
    if server["image"]:
        view["ImageId"] = IMAGE.id(server["image"]["id"])
    if server["key_name"]:
        view["KeyName"] = server["key_name"]
    if fault := server.get("fault"):
        view["StateReason"] = {"Code": "Server.InternalError", "Message": fault["message"]}
    for key in ("VpcId", "SubnetId", "PrivateIpAddress"):
        if key in first:
            view[key] = first[key]
    if "Association" in first:
        view["PublicIpAddress"] = first["Association"]["PublicIp"]
    return view


def metadata_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Users of compute's API write what they like there."""
    hops = metadata.get(tags.HOPS, "")
    return {
        "State": "applied", "HttpEndpoint": "enabled", "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "disabled",
        "HttpTokens": metadata.get(tags.TOKENS, "optional"), "HttpPutResponseHopLimit": int(hops) if hops in HOPS else 64,
    }  # fmt: skip


def _device(volume: dict[str, Any], attached: dict[str, Any]) -> dict[str, Any]:
    since = parse_iso(attached.get("attached_at") or volume["created_at"])
    disk = {
        "VolumeId": VOLUME.id(volume["id"]),
        "Status": "attached",
        "AttachTime": since,
        "DeleteOnTermination": False,
    }
    return {"DeviceName": attached["device"] or "", "Ebs": disk}


def _state(server: dict[str, Any]) -> str:
    """A server that never ran and failed is what Amazon calls terminated; one that ran is off, for all that a client can do."""
    if server["status"] == "ERROR":
        return "stopped" if server.get("OS-SRV-USG:launched_at") else "terminated"
    task = server.get("OS-EXT-STS:task_state") or ""
    return TASKS.get(task) or STATES.get(server["status"], "pending")


def interface(
    port: dict[str, Any], number: int, public: Mapping[str, str], groups: Mapping[str, str], networks: Networks
) -> dict[str, Any]:
    addresses = [ip for ip in port["fixed_ips"] if ":" not in ip["ip_address"]]
    view: dict[str, Any] = {
        "NetworkInterfaceId": INTERFACE.id(port["id"]), "MacAddress": port["mac_address"], "OwnerId": port["project_id"],
        "Status": "in-use", "SourceDestCheck": True, "Description": port["description"], "InterfaceType": "interface",
        "Groups": [{"GroupId": GROUP.id(each), "GroupName": groups.get(each, "")} for each in port["security_groups"]],
        "Attachment": {
            "AttachmentId": ATTACHMENT.id(port["id"]), "DeviceIndex": number, "Status": "attached", "DeleteOnTermination": True,
        },
        "PrivateIpAddresses": [
            {"PrivateIpAddress": ip["ip_address"], "Primary": place == 0} for place, ip in enumerate(addresses)
        ],
        "Ipv6Addresses": [{"Ipv6Address": ip["ip_address"]} for ip in port["fixed_ips"] if ":" in ip["ip_address"]],
    }  # fmt: skip
    if addresses:
        subnet = addresses[0]["subnet_id"]
        view |= {
            "PrivateIpAddress": addresses[0]["ip_address"], "SubnetId": SUBNET.id(subnet), "VpcId": networks.vpc_of(subnet).id,
        }  # fmt: skip
    if port["id"] in public:
        view["Association"] = {"PublicIp": public[port["id"]], "IpOwnerId": port["project_id"], "PublicDnsName": ""}
    return view
