"""Instance types: compute's flavors, under their own names and under those of Amazon's that the settings map to them."""

from __future__ import annotations

from typing import Any

from kilonova.ec2.call import Ec2Call, Result
from kilonova.ec2.errors import coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.paging import paged

FILTERS = {
    "instance-type": at("InstanceType"), "current-generation": at("CurrentGeneration"), "bare-metal": at("BareMetal"),
    "vcpu-info.default-vcpus": at("VCpuInfo", "DefaultVCpus"), "memory-info.size-in-mib": at("MemoryInfo", "SizeInMiB"),
    "instance-storage-supported": at("InstanceStorageSupported"), "hypervisor": at("Hypervisor"),
    "supported-root-device-type": at("SupportedRootDeviceTypes"), "supported-usage-class": at("SupportedUsageClasses"),
    "processor-info.supported-architecture": at("ProcessorInfo", "SupportedArchitectures"),
}  # fmt: skip
OFFERING_FILTERS = {"instance-type": at("InstanceType"), "location": at("Location")}


async def flavors(call: Ec2Call) -> dict[str, dict[str, Any]]:
    """Name of a type → its flavor."""
    found = {flavor["name"]: flavor for flavor in await call.compute.all("/flavors/detail", "flavors")}
    others = {name: found[flavor] for name, flavor in call.options.instance_types.items() if flavor in found}
    return others | found


async def flavor_of(call: Ec2Call, name: str) -> dict[str, Any]:
    found = (await flavors(call)).get(name)
    if found is None:
        raise coded("InvalidParameterValue", f"Invalid value '{name[:100]}' for InstanceType.")
    return found


async def describe_instance_types(call: Ec2Call) -> Result:
    known, params = await flavors(call), call.params
    if missing := sorted(set(params.get("InstanceTypes", ())) - known.keys()):
        raise coded("InvalidInstanceType", f"The following supplied instance types do not exist: [{missing[0][:100]}]")
    wanted = params.get("InstanceTypes") or known
    shown = filtered([_view(name, known[name]) for name in wanted], params.get("Filters"), FILTERS)
    page, token = paged(shown, params, ids="InstanceTypes")
    return {"InstanceTypes": page, "NextToken": token}


async def describe_instance_type_offerings(call: Ec2Call) -> Result:
    places = [call.cloud.region]
    kind = call.params.get("LocationType", "region")
    if kind != "region":
        zones = (await call.compute.get("/os-availability-zone"))["availabilityZoneInfo"]
        places = [zone["zoneName"] for zone in zones]
    shown = [
        {"InstanceType": name, "LocationType": kind, "Location": place} for name in await flavors(call) for place in places
    ]  # fmt: skip
    page, token = paged(filtered(shown, call.params.get("Filters"), OFFERING_FILTERS), call.params)
    return {"InstanceTypeOfferings": page, "NextToken": token}


def _view(name: str, flavor: dict[str, Any]) -> dict[str, Any]:
    disk = flavor["disk"] + flavor["OS-FLV-EXT-DATA:ephemeral"]
    view: dict[str, Any] = {
        "InstanceType": name, "CurrentGeneration": True, "FreeTierEligible": False, "BareMetal": False, "Hypervisor": "xen",
        "SupportedUsageClasses": ["on-demand"], "SupportedRootDeviceTypes": ["instance-store"],
        "SupportedVirtualizationTypes": ["hvm"], "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": flavor["vcpus"]}, "MemoryInfo": {"SizeInMiB": flavor["ram"]},
        "InstanceStorageSupported": disk > 0, "BurstablePerformanceSupported": False, "HibernationSupported": False,
        "DedicatedHostsSupported": False, "AutoRecoverySupported": False,
    }  # fmt: skip
    return view | ({"InstanceStorageInfo": {"TotalSizeInGB": disk}} if disk else {})


ACTIONS = {
    "DescribeInstanceTypes": describe_instance_types,
    "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
}
