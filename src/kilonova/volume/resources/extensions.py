"""The names of what the API has beside its core, for clients that look for them."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume.resources.base import READER, Deps, Resource, V

RULES = {"volume_extension:extensions": READER}
KNOWN = {
    "os-admin-actions": "AdminActions", "backups": "Backups", "os-hosts": "Hosts", "os-volume-transfer": "VolumeTransfer",
    "qos-specs": "Qos_specs_manage",
    "os-volume-type-encryption": "VolumeTypeEncryption",
    "os-availability-zone": "AvailabilityZones", "capabilities": "Capabilities",
    "os-extended-services": "ExtendedServices", "os-extended-snapshot-attributes": "ExtendedSnapshotAttributes",
    "os-quota-class-sets": "QuotaClasses", "os-quota-sets": "Quotas", "OS-SCH-HNT": "SchedulerHints",
    "scheduler-stats":
    "SchedulerStats", "os-services": "Services", "os-snapshot-actions": "SnapshotActions", "os-types-extra-specs":
    "TypesExtraSpecs", "os-types-manage": "TypesManage", "os-used-limits": "UsedLimits", "os-vol-host-attr":
    "VolumeHostAttribute", "os-vol-image-meta": "VolumeImageMetadata", "os-vol-mig-status-attr": "VolumeMigStatusAttribute",
    "os-vol-tenant-attr": "VolumeTenantAttribute", "os-volume-actions": "VolumeActions", "os-volume-type-access":
    "VolumeTypeAccess",
}  # fmt: skip


class Extension(View, kw_only=True):
    alias: str
    name: str
    description: str
    updated: str
    links: list[dict[str, Any]]


class Extensions(View, kw_only=True):
    extensions: list[Extension]


async def show(call: Call) -> Reply:
    found = [
        Extension(alias=alias, name=name, description=name, updated="2017-01-01T00:00:00+00:00", links=[])
        for alias, name in KNOWN.items()
    ]
    return Reply(Extensions(extensions=found))


def routes(_: Deps) -> list[Route]:
    rule = "volume_extension:extensions"
    return [Route("GET", f"{V}/extensions", show, rule, reply=Extensions, summary="List extensions of the API.")]


EXTENSIONS = Resource(routes, RULES)
