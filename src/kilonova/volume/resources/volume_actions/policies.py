"""Policy rules of what is done with a volume, with upstream's names."""

from __future__ import annotations

from kilonova.volume.resources.base import MEMBER, OPERATOR, READER

A, ADMIN_ACTION = "volume_extension:volume_actions", "volume_extension:volume_admin_actions"
IMAGE = "volume_extension:volume_image_metadata"
RULES = {
    "volume:get": READER,
    "volume:update": MEMBER,
    "volume:extend": MEMBER,
    "volume:extend_attached_volume": MEMBER,
    "volume:revert_to_snapshot": MEMBER,
    "volume:update_readonly_flag": MEMBER,
    "volume:retype": MEMBER,
    f"{A}:upload_image": MEMBER,
    f"{A}:upload_public": OPERATOR,
    f"{A}:reserve": MEMBER,
    f"{A}:unreserve": MEMBER,
    f"{A}:attach": MEMBER,
    f"{A}:detach": MEMBER,
    f"{A}:begin_detaching": MEMBER,
    f"{A}:roll_detaching": MEMBER,
    f"{A}:initialize_connection": MEMBER,
    f"{A}:terminate_connection": MEMBER,
    f"{ADMIN_ACTION}:reset_status": OPERATOR,
    f"{ADMIN_ACTION}:force_delete": OPERATOR,
    f"{ADMIN_ACTION}:force_detach": OPERATOR,
    f"{IMAGE}:show": READER,
    f"{IMAGE}:set": MEMBER,
    f"{IMAGE}:remove": MEMBER,
}
