"""What notifications say of a server, as tables: field → where it comes from. Both forms name every field that may leave the
cloud; what is not here (user data, passwords, keys, personality) does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kilonova.compute.models import Flavor, RequestSpec, Vif

Field = str | Callable[["Facts"], Any]
NAMESPACE = "nova"
POWER = {0: "pending", 1: "running", 3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}


class Failure(msgspec.Struct, frozen=True):
    """Why something failed, as its owner may read it."""

    reason: str
    code: int = 500
    kind: str = "BuildAbortException"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """A server at one moment: `row` has the columns of `servers`, and what `said_of` adds. `image_url` is the image service's
    base URL; `initiator` is (user id, project id) of its initiator."""

    row: Mapping[str, Any]
    flavor: Flavor
    vifs: list[Vif]
    image_url: str
    instance_name: str  # template of guests' names
    request_id: str
    initiator: tuple[str | None, str | None]
    failure: Failure | None = None


def facts(
    row: Mapping[str, Any], *, image_url: str, instance_name: str, request_id: str, initiator: tuple[str | None, str | None],
    failure: Failure | None,
) -> Facts:  # fmt: skip
    return Facts(
        row=row, flavor=msgspec.convert(row["flavor"], Flavor), vifs=msgspec.convert(row["network_info"] or [], list[Vif]),
        image_url=image_url, instance_name=instance_name, request_id=request_id, initiator=initiator, failure=failure,
    )  # fmt: skip


def said_of(spec: RequestSpec) -> dict[str, Any]:
    """What payloads say of the work that a server's spec describes, beside the row's columns."""
    image, rescue = spec.image, spec.rescue
    rescued_with = (rescue.image or image) if rescue is not None else None
    return {
        "snapshot_image_id": spec.snapshot.image if spec.snapshot is not None else None,
        "rescue_image_ref": rescued_with.id if rescued_with is not None else None,
        "rescue_image_name": rescued_with.name if rescued_with is not None else None,
        "image_name": image.name if image is not None else None,
    }


# ---- the unversioned form


def _iso(name: str) -> Callable[[Facts], str]:
    return lambda facts: facts.row[name].strftime("%Y-%m-%dT%H:%M:%S.%f") if facts.row[name] is not None else ""


def _text(name: str) -> Callable[[Facts], str]:
    return lambda facts: facts.row[name] or ""


LEGACY: dict[str, Field] = {
    "tenant_id": "project_id",
    "user_id": "user_id",
    "instance_id": "uuid",
    "display_name": "name",
    "reservation_id": "reservation_id",
    "hostname": "hostname",
    "instance_type": lambda facts: facts.flavor.name,
    "instance_type_id": lambda facts: None,
    "instance_flavor_id": lambda facts: facts.flavor.id,
    "architecture": lambda facts: None,
    "memory_mb": "memory_mb",
    "disk_gb": lambda facts: facts.flavor.root_gb + facts.flavor.ephemeral_gb,
    "vcpus": "vcpus",
    "root_gb": lambda facts: facts.flavor.root_gb,
    "ephemeral_gb": lambda facts: facts.flavor.ephemeral_gb,
    "host": _text("host"),
    "node": _text("node"),
    "availability_zone": _text("availability_zone"),
    "cell_name": lambda facts: "",
    "created_at": lambda facts: str(facts.row["created_at"].replace(microsecond=0, tzinfo=dt.UTC)),
    "terminated_at": _iso("terminated_at"),
    "deleted_at": _iso("deleted_at"),
    "launched_at": _iso("launched_at"),
    "image_ref_url": lambda facts: f"{facts.image_url}/images/{facts.row['image_id'] or ''}",
    "os_type": lambda facts: None,
    "kernel_id": lambda facts: "",
    "ramdisk_id": lambda facts: "",
    "state": "vm_state",
    "state_description": _text("task_state"),
    "progress": lambda facts: facts.row["progress"] or "",
    "access_ip_v4": "access_ip_v4",
    "access_ip_v6": "access_ip_v6",
    "metadata": "metadata",
    "image_meta": lambda facts: {"base_image_ref": facts.row["image_id"] or ""},
}
ADDRESSED: dict[str, Field] = {
    "fixed_ips": lambda facts: [
        {"address": ip.address, "type": "fixed", "version": ip.subnet.ip_version, "label": vif.network_name,
         "floating_ips": ip.floating_ips, "vif_mac": vif.mac_address, "meta": {}}
        for vif in facts.vifs for ip in vif.fixed_ips
    ],
}  # fmt: skip
CREATED: dict[str, Field] = ADDRESSED | {"message": lambda facts: "Success"}
RESCUED: dict[str, Field] = ADDRESSED | {"rescue_image_name": lambda facts: facts.row.get("rescue_image_name") or ""}
REBUILT: dict[str, Field] = {"image_name": lambda facts: facts.row.get("image_name") or ""}
RESIZED: dict[str, Field] = {
    "new_instance_type": lambda facts: facts.row["new_flavor"]["name"] if facts.row.get("new_flavor") else "",
    "new_instance_type_id": lambda facts: None,
}
FAILED: dict[str, Field] = {
    "message": lambda facts: facts.failure.reason if facts.failure else "",
    "code": lambda facts: facts.failure.code if facts.failure else 500,
    "exception": lambda facts: facts.failure.kind if facts.failure else "",
}


def legacy(facts: Facts, *more: dict[str, Field]) -> dict[str, Any]:
    """The unversioned payload with further fields."""
    found: dict[str, Any] = {}
    for table in (LEGACY, *more):
        found |= _filled(table, facts)
    return found


# ---- the versioned form


def _moment(name: str) -> Callable[[Facts], str | None]:
    return lambda facts: facts.row[name].strftime("%Y-%m-%dT%H:%M:%SZ") if facts.row[name] is not None else None


def _object(name: str, version: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "nova_object.name": name,
        "nova_object.namespace": NAMESPACE,
        "nova_object.version": version,
        "nova_object.data": data,
    }


def _flavor(facts: Facts) -> dict[str, Any]:
    return _flavor_of(facts.flavor)


def _new_flavor(facts: Facts) -> dict[str, Any] | None:
    found = facts.row.get("new_flavor")
    return _flavor_of(msgspec.convert(found, Flavor)) if found else None


def _flavor_of(flavor: Flavor) -> dict[str, Any]:
    data = {
        "flavorid": flavor.id, "name": flavor.name, "memory_mb": flavor.memory_mb, "vcpus": flavor.vcpus,
        "root_gb": flavor.root_gb, "ephemeral_gb": flavor.ephemeral_gb, "swap": flavor.swap_mb,
        "rxtx_factor": flavor.rxtx_factor, "vcpu_weight": 0, "disabled": False, "is_public": True,
        "extra_specs": flavor.extra_specs, "projects": None, "description": flavor.description,
    }  # fmt: skip
    return _object("FlavorPayload", "1.4", data)


def _addresses(facts: Facts) -> list[dict[str, Any]]:
    return [
        _object("IpPayload", "1.0", {
            "label": vif.network_name, "mac": vif.mac_address, "meta": {}, "port_uuid": vif.port_id,
            "version": ip.subnet.ip_version, "address": ip.address, "device_name": vif.device_name,
        })
        for vif in facts.vifs for ip in vif.fixed_ips
    ]  # fmt: skip


def _fault(facts: Facts) -> dict[str, Any] | None:
    if facts.failure is None:
        return None
    data = {
        "module_name": "", "function_name": "", "exception": facts.failure.kind,
        "exception_message": facts.failure.reason, "traceback": "",
    }  # fmt: skip
    return _object("ExceptionPayload", "1.1", data)


def _keypairs(facts: Facts) -> list[dict[str, Any]]:
    if facts.row["key_name"] is None:
        return []
    data = {"user_id": facts.row["user_id"], "name": facts.row["key_name"], "fingerprint": None, "public_key": None,
            "type": "ssh"}  # fmt: skip
    return [_object("KeypairPayload", "1.0", data)]


ACTION: dict[str, Field] = {
    "uuid": "uuid",
    "user_id": "user_id",
    "tenant_id": "project_id",
    "reservation_id": "reservation_id",
    "display_name": "name",
    "display_description": "description",
    "host_name": "hostname",
    "host": "host",
    "node": "node",
    "os_type": lambda facts: None,
    "architecture": lambda facts: None,
    "availability_zone": "availability_zone",
    "flavor": _flavor,
    "image_uuid": _text("image_id"),
    "key_name": "key_name",
    "kernel_id": lambda facts: "",
    "ramdisk_id": lambda facts: "",
    "created_at": _moment("created_at"),
    "launched_at": _moment("launched_at"),
    "terminated_at": _moment("terminated_at"),
    "deleted_at": _moment("deleted_at"),
    "updated_at": _moment("updated_at"),
    "state": "vm_state",
    "power_state": lambda facts: POWER.get(facts.row["power_state"], "pending"),
    "task_state": "task_state",
    "progress": "progress",
    "ip_addresses": _addresses,
    "block_devices": lambda facts: [],
    "metadata": "metadata",
    "locked": lambda facts: facts.row["locked_by"] is not None,
    "locked_reason": "locked_reason",
    "auto_disk_config": "disk_config",
    "request_id": lambda facts: facts.request_id,
    "action_initiator_user": lambda facts: facts.initiator[0],
    "action_initiator_project": lambda facts: facts.initiator[1],
    "shares": lambda facts: [],
    "fault": _fault,
}
CREATE: dict[str, Field] = ACTION | {
    "instance_name": lambda facts: facts.instance_name % facts.row["id"],
    "keypairs": _keypairs,
    "tags": "tags",
    "trusted_image_certificates": "trusted_image_certificates",
}


VERSIONED: dict[str, tuple[str, str, dict[str, Field]]] = {
    "create": ("InstanceCreatePayload", "1.13", CREATE),
    "rebuild": (
        "InstanceActionRebuildPayload", "1.10", ACTION | {"trusted_image_certificates": "trusted_image_certificates"},
    ),
    "rescue": (
        "InstanceActionRescuePayload", "1.4", ACTION | {"rescue_image_ref": lambda facts: facts.row.get("rescue_image_ref")},
    ),
    "resize.prep": ("InstanceActionResizePrepPayload", "1.4", ACTION | {"new_flavor": _new_flavor}),
    "snapshot": (
        "InstanceActionSnapshotPayload", "1.10",
        ACTION | {"snapshot_image_id": lambda facts: facts.row.get("snapshot_image_id")},
    ),
}  # fmt: skip
"""What happens → the payload's name, version and fields, where it is not `InstanceActionPayload`."""


def versioned(facts: Facts, name: str) -> dict[str, Any]:
    """The payload object for an event."""
    kind, version, fields = VERSIONED.get(name.rpartition(".")[0], ("InstanceActionPayload", "1.9", ACTION))
    return _object(kind, version, _filled(fields, facts))


def _filled(table: dict[str, Field], facts: Facts) -> dict[str, Any]:
    return {name: facts.row[source] if isinstance(source, str) else source(facts) for name, source in table.items()}
