"""Regions, availability zones, and what an account may have."""

from __future__ import annotations

from typing import Any

from kilonova.ec2.call import Ec2Call, Result
from kilonova.ec2.errors import coded
from kilonova.ec2.filters import at, filtered

REGION_FILTERS = {"region-name": at("RegionName"), "endpoint": at("Endpoint"), "opt-in-status": at("OptInStatus")}
ZONE_FILTERS = {
    "zone-name": at("ZoneName"), "zone-id": at("ZoneId"), "region-name": at("RegionName"), "state": at("State"),
    "zone-type": at("ZoneType"), "group-name": at("GroupName"), "opt-in-status": at("OptInStatus"),
    "message": at("Messages", "Message"),
}  # fmt: skip
ATTRIBUTES = {
    "supported-platforms": "VPC", "default-vpc": "none", "max-instances": "instances", "vpc-max-elastic-ips": "floating_ips",
    "max-elastic-ips": "floating_ips", "vpc-max-security-groups-per-interface": "5",
}  # fmt: skip


async def describe_regions(call: Ec2Call) -> Result:
    region = {"RegionName": call.cloud.region, "Endpoint": call.cloud.region, "OptInStatus": "opt-in-not-required"}
    for name in call.params.get("RegionNames", ()):
        if name != call.cloud.region:
            raise coded("InvalidParameterValue", f"Invalid region: [{name[:100]}]")
    return {"Regions": filtered([region], call.params.get("Filters"), REGION_FILTERS)}


async def describe_availability_zones(call: Ec2Call) -> Result:
    found = (await call.compute.get("/os-availability-zone"))["availabilityZoneInfo"]
    zones = [_zone(call.cloud.region, zone) for zone in found]
    for key, asked in (("ZoneName", call.params.get("ZoneNames")), ("ZoneId", call.params.get("ZoneIds"))):
        if missing := sorted(set(asked or ()) - {zone[key] for zone in zones}):
            raise coded("InvalidParameterValue", f"Invalid availability zone: [{missing[0][:100]}]")
        zones = [zone for zone in zones if not asked or zone[key] in asked]
    return {"AvailabilityZones": filtered(zones, call.params.get("Filters"), ZONE_FILTERS)}


def _zone(region: str, zone: dict[str, Any]) -> dict[str, Any]:
    state = "available" if zone["zoneState"]["available"] else "unavailable"
    name = zone["zoneName"]
    return {
        "ZoneName": name, "ZoneId": name, "RegionName": region, "State": state, "ZoneType": "availability-zone", "Messages": [],
        "GroupName": region, "NetworkBorderGroup": region, "OptInStatus": "opt-in-not-required",
    }  # fmt: skip


async def describe_account_attributes(call: Ec2Call) -> Result:
    asked = call.params.get("AttributeNames") or ATTRIBUTES
    limits = (await call.compute.get("/limits"))["limits"]["absolute"]
    quota = (await call.network.get(f"/quotas/{call.project_id}"))["quota"]
    counts = {"instances": limits["maxTotalInstances"], "floating_ips": quota["floatingip"]}
    shown = []
    for name in asked:
        if name not in ATTRIBUTES:
            raise coded("InvalidParameterValue", f"Invalid attribute name: {name[:100]}")
        value = str(counts.get(ATTRIBUTES[name], ATTRIBUTES[name]))
        shown.append({"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]})
    return {"AccountAttributes": shown}


ACTIONS = {
    "DescribeRegions": describe_regions,
    "DescribeAvailabilityZones": describe_availability_zones,
    "DescribeAccountAttributes": describe_account_attributes,
}
