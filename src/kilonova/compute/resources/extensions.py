"""The list of extensions, which upstream still serves for old clients. The answer never changes."""

from __future__ import annotations

from typing import Any

from kilonova.compute import errors
from kilonova.core.web.call import Call, Reply

ALIASES = (
    "NMN", "OS-DCF", "OS-EXT-AZ", "OS-EXT-IPS", "OS-EXT-IPS-MAC", "OS-EXT-SRV-ATTR", "OS-EXT-STS", "OS-FLV-DISABLED",
    "OS-FLV-EXT-DATA", "OS-SCH-HNT", "OS-SRV-USG", "extensions", "flavors", "image-size", "images", "ips", "limits",
    "os-admin-actions", "os-aggregates", "os-attach-interfaces", "os-availability-zone", "os-block-device-mapping",
    "os-block-device-mapping-v2-boot", "os-config-drive", "os-console-output", "os-consoles", "os-deferred-delete",
    "os-extended-availability-zone", "os-extended-server-attributes", "os-extended-status", "os-extended-volumes",
    "os-flavor-access", "os-flavor-extra-specs", "os-flavor-manage", "os-hosts", "os-hypervisors", "os-instance-actions",
    "os-keypairs", "os-lock-server", "os-multiple-create", "os-personality", "os-quota-class-sets", "os-quota-sets",
    "os-security-groups", "os-server-external-events", "os-server-groups", "os-server-start-stop", "os-services",
    "os-user-data", "server-metadata", "servers", "versions",
)  # fmt: skip


def _view(alias: str) -> dict[str, Any]:
    name = "".join(part.capitalize() for part in alias.removeprefix("os-").split("-")) if alias.islower() else alias
    return {
        "alias": alias, "name": name, "description": "", "links": [], "updated": "2014-12-03T00:00:00Z",
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
    }  # fmt: skip


class Extensions:
    async def list(self, call: Call) -> Reply:
        return Reply({"extensions": [_view(alias) for alias in ALIASES]})

    async def show(self, call: Call, alias: str) -> Reply:
        if alias not in ALIASES:
            raise errors.ExtensionNotFound(alias=alias)
        return Reply({"extension": _view(alias)})
