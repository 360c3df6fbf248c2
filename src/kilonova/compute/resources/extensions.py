"""The list of extensions, which upstream still serves for old clients. The answer never changes."""

from __future__ import annotations

import msgspec

from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.core.errors import NotFound
from kilonova.core.policy import ANYONE
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View

RULE = f"{R}:extensions"
ALIASES = (
    "NMN", "OS-DCF", "OS-EXT-AZ", "OS-EXT-IPS", "OS-EXT-IPS-MAC", "OS-EXT-SRV-ATTR", "OS-EXT-STS", "OS-FLV-DISABLED",
    "OS-FLV-EXT-DATA", "OS-SCH-HNT", "OS-SRV-USG", "extensions", "flavors", "image-size", "images", "ips", "limits",
    "os-admin-actions", "os-admin-password", "os-aggregates", "os-attach-interfaces", "os-availability-zone",
    "os-block-device-mapping", "os-block-device-mapping-v2-boot", "os-config-drive", "os-console-output", "os-consoles",
    "os-deferred-delete", "os-extended-availability-zone", "os-extended-server-attributes", "os-extended-status",
    "os-extended-volumes", "os-flavor-access", "os-flavor-extra-specs", "os-flavor-manage", "os-floating-ip-pools",
    "os-floating-ips", "os-hosts", "os-hypervisors", "os-instance-actions", "os-keypairs", "os-lock-server",
    "os-multiple-create", "os-networks", "os-pause-server", "os-personality", "os-quota-class-sets", "os-quota-sets",
    "os-security-groups", "os-server-external-events", "os-server-groups", "os-server-password", "os-server-start-stop",
    "os-services", "os-suspend-server", "os-tenant-networks", "os-user-data", "server-metadata", "servers", "versions",
)  # fmt: skip


class ExtensionNotFound(NotFound):
    template = "Extension {alias} could not be found."


class Extension(View, kw_only=True):
    alias: str
    name: str
    description: str = ""
    links: list[str] = msgspec.field(default_factory=list)
    updated: str = "2014-12-03T00:00:00Z"
    namespace: str = "http://docs.openstack.org/compute/ext/fake_xml"


class ExtensionBody(View, kw_only=True):
    extension: Extension


class ExtensionList(View, kw_only=True):
    extensions: list[Extension]


class Extensions:
    async def list(self, call: Call) -> Reply:
        return Reply(ExtensionList(extensions=[_view(alias) for alias in ALIASES]))

    async def show(self, call: Call, alias: str) -> Reply:
        if alias not in ALIASES:
            raise ExtensionNotFound(alias=alias)
        return Reply(ExtensionBody(extension=_view(alias)))


def _view(alias: str) -> Extension:
    name = "".join(part.capitalize() for part in alias.removeprefix("os-").split("-")) if alias.islower() else alias
    return Extension(alias=alias, name=name)


def routes(deps: Deps) -> list[Route]:
    every, handlers = f"{V}/extensions", Extensions()
    return [
        Route("GET", every, handlers.list, RULE, reply=ExtensionList, summary="List extensions."),
        Route("GET", every + "/{alias:str}", handlers.show, RULE, reply=ExtensionBody, summary="Show an extension."),
    ]


EXTENSIONS = Resource(routes, {RULE: ANYONE})
