"""Policy rules of server actions: the route's own lets everyone in, as each action has one."""

from __future__ import annotations

from kilonova.compute.policy_checks import MANAGER, MEMBER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN, ANYONE

ACTION = "kilonova:servers:action"
MEMBERS = (
    "os-admin-password", "os-console-output", "os-create-backup", "os-deferred-delete:force", "os-deferred-delete:restore",
    "os-floating-ips:add", "os-floating-ips:remove", "os-lock-server:lock", "os-lock-server:unlock", "os-multinic:add",
    "os-multinic:remove", "os-pause-server:pause", "os-pause-server:unpause",
    "os-rescue", "os-unrescue", "os-shelve:shelve", "os-shelve:unshelve",
    "os-suspend-server:resume", "os-suspend-server:suspend", "servers:confirm_resize", "servers:create_image",
    "servers:create_image:allow_volume_backed", "servers:reboot", "servers:rebuild", "servers:rebuild:trusted_certs",
    "servers:resize", "servers:revert_resize", "servers:start", "servers:stop", "servers:trigger_crash_dump",
)  # fmt: skip
ADMINS = (
    "os-admin-actions:inject_network_info", "os-admin-actions:reset_state", "os-evacuate",
    "os-lock-server:unlock:unlock_override", "os-migrate-server:migrate:host", "os-migrate-server:migrate_live:host",
    "os-shelve:shelve_offload", "os-shelve:unshelve_to_host",
)  # fmt: skip
RULES = {
    ACTION: ANYONE,
    **{f"{R}:{rule}": MEMBER for rule in MEMBERS},
    **{f"{R}:{rule}": ADMIN for rule in ADMINS},
    f"{R}:os-migrate-server:migrate": MANAGER,
    f"{R}:os-migrate-server:migrate_live": MANAGER,
}
