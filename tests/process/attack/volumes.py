"""What is done with a volume: a valid value below each action's name."""

from __future__ import annotations

from typing import Any

CONNECTOR = {"connector": {"host": "h", "ip": "10.0.0.1"}}
VOLUME_ACTIONS: dict[str, Any] = {
    "os-extend": {"new_size": 2},
    "os-reset_status": {"status": "available", "attach_status": "detached", "migration_status": "none"},
    "os-force_delete": {},
    "os-force_detach": {"attachment_id": None, "connector": None},
    "os-set_bootable": {"bootable": True},
    "os-update_readonly_flag": {"readonly": False},
    "os-set_image_metadata": {"metadata": {"a": "b"}},
    "os-show_image_metadata": {},
    "os-unset_image_metadata": {"key": "a"},
    "os-volume_upload_image": {"image_name": "x", "disk_format": "raw", "container_format": "bare", "force": False},
    "revert": {"snapshot_id": "volume snapshots"},
    "os-retype": {"new_type": "nothing", "migration_policy": "never"},
    "os-reserve": {},
    "os-unreserve": {},
    "os-begin_detaching": {},
    "os-roll_detaching": {},
    "os-attach": {"instance_uuid": None, "host_name": "h", "mountpoint": "/dev/vdb", "mode": "rw"},
    "os-detach": {"attachment_id": None},
    "os-initialize_connection": CONNECTOR,
    "os-terminate_connection": CONNECTOR,
}
