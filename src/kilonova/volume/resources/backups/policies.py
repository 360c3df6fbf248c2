"""Policy rules of backups, with upstream's names."""

from __future__ import annotations

from kilonova.volume.resources.base import MEMBER, OPERATOR, READER

PROJECT = "backup:backup_project_attribute"
ADMIN_ACTION = "volume_extension:backup_admin_actions"
RULES = {
    "backup:get_all": READER,
    "backup:get": READER,
    "backup:create": MEMBER,
    "backup:update": MEMBER,
    "backup:delete": MEMBER,
    "backup:restore": MEMBER,
    PROJECT: OPERATOR,
    f"{ADMIN_ACTION}:reset_status": OPERATOR,
    f"{ADMIN_ACTION}:force_delete": OPERATOR,
}
