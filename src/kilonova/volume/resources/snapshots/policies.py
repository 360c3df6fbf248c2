"""Policy rules of snapshots, with upstream's names."""

from __future__ import annotations

from kilonova.volume.resources.base import MEMBER, OPERATOR, READER

EXTENDED = "volume_extension:extended_snapshot_attributes"
ADMIN_ACTION = "volume_extension:snapshot_admin_actions"
RULES = {
    "volume:get_all_snapshots": READER,
    "volume:get_snapshot": READER,
    "volume:create_snapshot": MEMBER,
    "volume:update_snapshot": MEMBER,
    "volume:delete_snapshot": MEMBER,
    "volume:get_snapshot_metadata": READER,
    "volume:update_snapshot_metadata": MEMBER,
    "volume:delete_snapshot_metadata": MEMBER,
    EXTENDED: READER,
    f"{ADMIN_ACTION}:reset_status": OPERATOR,
    f"{ADMIN_ACTION}:force_delete": OPERATOR,
    "snapshot_extension:snapshot_actions:update_snapshot_status": MEMBER,
}
