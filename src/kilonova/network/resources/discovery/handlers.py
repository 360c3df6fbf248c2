"""Versions, resources and extensions: what this service can do, and nothing it cannot."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network import errors

EXTENSIONS: dict[str, tuple[str, str, str]] = {
    "agent": ("agent", "2013-02-03T10:00:00-00:00", "Agents and whether they live"),
    "allowed-address-pairs": ("Allowed Address Pairs", "2013-07-23T10:00:00-00:00", "More source addresses for a port"),
    "availability_zone": ("Availability Zone", "2015-01-01T10:00:00-00:00", "Availability zones"),
    "binding": ("Port Binding", "2014-02-03T10:00:00-00:00", "Ports are bound to hosts"),
    "empty-string-filtering": (
        "Empty String Filtering Extension",
        "2018-05-01T10:00:00-00:00", "Filters with an empty value",
    ),
    "external-net": ("Neutron external network", "2013-01-14T10:00:00-00:00", "Networks marked as external"),
    "filter-validation": ("Filter parameters validation", "2018-07-04T10:00:00-00:00", "Unknown filters are refused"),
    "ip-substring-filtering": (
        "IP address substring filtering",
        "2017-11-28T09:00:00-00:00", "Ports by a part of an address",
    ),
    "net-mtu": ("Network MTU", "2015-03-25T10:00:00-00:00", "MTU of networks"),
    "net-mtu-writable": ("Network MTU (writable)", "2017-07-12T00:00:00-00:00", "MTU of networks can be set"),
    "network-ip-availability": ("Network IP Availability", "2015-09-24T00:00:00-00:00", "How many addresses are in use"),
    "pagination": ("Pagination support", "2016-06-12T00:00:00-00:00", "Lists in pages"),
    "port-mac-override": (
        "Neutron Port MAC address override",
        "2022-03-18T10:00:00-00:00", "Ports with a chosen MAC address",
    ),
    "port-security": ("Port Security", "2012-07-23T10:00:00-00:00", "Ports without filters"),
    "port-security-groups-filtering": (
        "Port filtering on security groups",
        "2018-01-09T09:00:00-00:00", "Ports by security group",
    ),
    "project-id": ("project_id field enabled", "2016-09-09T09:09:09-09:09", "project_id beside tenant_id"),
    "provider": ("Provider Network", "2012-09-07T10:00:00-00:00", "Provider attributes of networks"),
    "quota-check-limit": ("Quota engine limit check", "2021-09-08T16:00:00-00:00", "Limits below what is used need force"),
    "quota-check-limit-default": (
        "Quota engine limit check by default",
        "2024-08-21T16:00:00-00:00", "Limits are checked unless forced",
    ),
    "quota_details": ("Quota details management support", "2017-02-10T10:00:00-00:00", "Quotas with their use"),
    "quotas": ("Quota management support", "2012-07-29T10:00:00-00:00", "Limits of projects"),
    "security-group": ("security-group", "2012-10-05T10:00:00-00:00", "Security groups"),
    "security-groups-normalized-cidr": (
        "Normalized CIDR field for security group rules",
        "2020-07-28T10:00:00-00:00", "Rules show their prefix without host bits",
    ),
    "sort-key-validation": ("Sort keys validation", "2018-07-04T10:00:00-00:00", "Unknown sort keys are refused"),
    "sorting": ("Sorting support", "2016-06-12T00:00:00-00:00", "Lists in any order"),
    "standard-attr-description": ("standard-attr-description", "2016-02-10T10:00:00-00:00", "Descriptions"),
    "standard-attr-revisions": ("Resource revision numbers", "2016-04-11T10:00:00-00:00", "Revision numbers"),
    "standard-attr-tag": (
        "Tag support for resources with standard attribute: network, subnet, port, security_group",
        "2017-01-01T00:00:00-00:00", "Tags",
    ),
    "standard-attr-timestamp": ("Resource timestamps", "2016-09-12T10:00:00-00:00", "Times of creation and change"),
    "subnet-external-network": (
        "Subnet belongs to an external network",
        "2024-02-05T18:00:00-00:00", "Subnets say whether their network is external",
    ),
    "tag-ports-during-bulk-creation": (
        "Tag Ports During Bulk Creation",
        "2019-12-29T19:00:00-00:00", "Ports made with tags",
    ),
}  # fmt: skip
"""Alias → upstream's name and time of the last change, by which clients know it, and what it means."""
RESOURCES = {"network": "networks", "subnet": "subnets", "port": "ports"}


async def versions(call: Call) -> Reply:
    link = {"rel": "self", "href": f"{call.base_url}/v2.0/"}
    return Reply({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]})


async def resources(call: Call) -> Reply:
    found = [
        {"name": name, "collection": plural, "links": [{"rel": "self", "href": f"{call.base_url}/v2.0/{plural}"}]}
        for name, plural in RESOURCES.items()
    ]
    return Reply({"resources": found})


def _extension(alias: str) -> dict[str, object]:
    name, updated, description = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": description, "updated": updated, "links": []}


async def extensions(call: Call) -> Reply:
    return Reply({"extensions": [_extension(alias) for alias in sorted(EXTENSIONS)]})


async def extension(call: Call, alias: str) -> Reply:
    if alias not in EXTENSIONS:
        raise errors.ExtensionNotFound(alias=alias)
    return Reply({"extension": _extension(alias)})


async def no_providers(call: Call) -> Reply:
    return Reply({"service_providers": []})
