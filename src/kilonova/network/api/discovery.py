"""Versions, resources and extensions: what this service can do, and nothing it cannot."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network import errors

UPDATED = "2026-01-01T00:00:00-00:00"
EXTENSIONS = {
    "agent": "Agents and whether they live",
    "allowed-address-pairs": "More source addresses for a port",
    "availability_zone": "Availability zones",
    "binding": "Ports are bound to hosts",
    "empty-string-filtering": "Filters with an empty value",
    "external-net": "Networks marked as external",
    "filter-validation": "Unknown filters are refused",
    "ip-substring-filtering": "Ports by a part of an address",
    "net-mtu": "MTU of networks",
    "net-mtu-writable": "MTU of networks can be set",
    "network-ip-availability": "How many addresses are in use",
    "pagination": "Lists in pages",
    "port-mac-address-override": "Ports with a chosen MAC address",
    "port-security": "Ports without filters",
    "port-security-groups-filtering": "Ports by security group",
    "project-id": "project_id beside tenant_id",
    "provider": "Provider attributes of networks",
    "quota-check-limit": "Limits below what is used need force",
    "quota-check-limit-default": "Limits are checked unless forced",
    "quota_details": "Quotas with their use",
    "quotas": "Limits of projects",
    "security-group": "Security groups",
    "security-groups-normalized-cidr": "Rules show their prefix without host bits",
    "sort-key-validation": "Unknown sort keys are refused",
    "sorting": "Lists in any order",
    "standard-attr-description": "Descriptions",
    "standard-attr-revisions": "Revision numbers",
    "standard-attr-tag": "Tags",
    "standard-attr-timestamp": "Times of creation and change",
    "subnet-external-network": "Subnets say whether their network is external",
    "tag-ports-during-bulk-creation": "Ports made with tags",
}
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
    return {"alias": alias, "name": alias, "description": EXTENSIONS[alias], "updated": UPDATED, "links": []}


async def extensions(call: Call) -> Reply:
    return Reply({"extensions": [_extension(alias) for alias in sorted(EXTENSIONS)]})


async def extension(call: Call, alias: str) -> Reply:
    if alias not in EXTENSIONS:
        raise errors.ExtensionNotFound(alias=alias)
    return Reply({"extension": _extension(alias)})


async def no_providers(call: Call) -> Reply:
    return Reply({"service_providers": []})
