"""Query parameters of the routes, as upstream has them, and since when others are refused; before that they are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps
from typing import Any

import msgspec

from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.core import errors
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version


class UnknownParameters(errors.BadRequest):
    template = "Additional properties are not allowed ({names} unexpected)"


class Known(msgspec.Struct, frozen=True):
    """`since` this microversion no other parameters are taken; each of `names` is there since its own."""

    since: Version
    names: Mapping[str, Version]


def _known(since: str, *names: str, **later: str) -> Known:
    known = dict.fromkeys(names, Version(2, 1)) | {k.replace("_", "-"): Version.parse(v) for k, v in later.items()}
    return Known(Version.parse(since), known)


PAGE = ("limit", "marker")
NONE = _known("2.102")  # of all other routes that read
USER = _known("2.75", "user_id")
HYPERVISORS = _known("2.53", *PAGE, "hypervisor_hostname_pattern", "with_servers")
FLAVORS = _known("2.75", *PAGE, "is_public", "minRam", "minDisk", "sort_key", "sort_dir", name="2.102")
KNOWN = {
    "GET /os-services": _known("2.75", "host", "binary"),
    "GET /os-hypervisors": HYPERVISORS,
    "GET /os-hypervisors/detail": HYPERVISORS,
    "GET /os-hypervisors/{hypervisor_id:str}": _known("2.53", "with_servers"),
    "GET /limits": _known("2.75", "tenant_id"),
    "GET /os-quota-sets/{project_id:str}": USER,
    "PUT /os-quota-sets/{project_id:str}": USER,
    "DELETE /os-quota-sets/{project_id:str}": USER,
    "GET /os-quota-sets/{project_id:str}/detail": USER,
    "GET /os-simple-tenant-usage": _known("2.75", *PAGE, "start", "end", "detailed"),
    "GET /os-simple-tenant-usage/{project_id:str}": _known("2.75", *PAGE, "start", "end"),
    "GET /os-server-groups": _known("2.75", "all_projects", "limit", "offset"),
    "GET /os-migrations": Known(
        Version(2, 59),
        dict.fromkeys(
            (*PAGE, "hidden", "host", "instance_uuid", "source_compute", "status", "migration_type", "changes-since"),
            Version(2, 1),
        ) | {"changes-before": Version(2, 66), "user_id": Version(2, 80), "project_id": Version(2, 80)},
    ),
    "GET /servers/{server_id:str}/os-instance-actions": _known("2.58", *PAGE, "changes-since", changes_before="2.66"),
    "GET /servers/{server_id:str}/os-volume_attachments": _known("2.75", "limit", "offset"),
    "GET /os-keypairs": _known("2.75", *PAGE, "user_id"),
    "GET /os-keypairs/{name:str}": USER,
    "DELETE /os-keypairs/{name:str}": USER,
    "GET /flavors": FLAVORS,
    "GET /flavors/detail": FLAVORS,
}  # fmt: skip
OWN_WORDS = ("/servers", "/servers/detail")  # their parameters are read by server_query.py


def within_parameters(route: Route) -> Route:
    """The route, refusing parameters that are not its own."""
    path, handler = route.path.removeprefix(CURRENT), route.handler
    known = KNOWN.get(f"{route.method} {path}", NONE if route.method == "GET" else None)
    if known is None or route.public or path in OWN_WORDS:
        return route

    @wraps(handler)
    async def checked(call: Call, **params: Any) -> Reply:
        version = call.version
        if version is not None and version >= known.since and call.query:
            strange = sorted({n for n in call.query if n not in known.names or version < known.names[n]})
            if strange:
                names = ", ".join(f"'{name[:60]}'" for name in strange[:5])
                raise UnknownParameters(names=f"{names} {'was' if len(strange) == 1 else 'were'}")
        return await handler(call, **params)

    return msgspec.structs.replace(route, handler=checked)
