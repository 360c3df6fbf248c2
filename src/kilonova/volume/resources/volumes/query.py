"""Query parameters of the lists of volumes."""

from __future__ import annotations

from kilonova.volume.resources.listing import Listing

KEYS = {
    "id": "id", "name": "name", "display_name": "name", "size": "size", "status": "status", "bootable": "bootable",
    "host": "host",
    "created_at": "created_at", "updated_at": "updated_at", "availability_zone": "availability_zone", "volume_type": "type_id",
    "launched_at": "launched_at", "volume_type_id": "type_id",
}  # fmt: skip
LIST = Listing(
    filters={
        "id": "id", "name": "name", "display_name": "name", "description": "description", "status": "status", "size": "size",
        "bootable": "bootable",
    "host": "host", "migration_status": "migration_status", "multiattach": "multiattach",
        "availability_zone": "availability_zone", "project_id": "project_id", "user_id": "user_id",
        "snapshot_id": "snapshot_id", "source_volid": "source_volid", "group_id": "group_id",
        "consistencygroup_id": "group_id", "volume_type": "type_id", "volume_type_id": "type_id", "encrypted": "encrypted",
    },
    sort=KEYS,
    booleans=("bootable", "multiattach", "encrypted"),
    numbers=("size",),
    operators=("host", "project_id"),
    pairs={"metadata": "metadata", "glance_metadata": "image_metadata"},
)  # fmt: skip
