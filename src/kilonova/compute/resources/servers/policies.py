"""Policy rules of servers."""

from __future__ import annotations

from kilonova.compute.policy_checks import INTO_OWN, MEMBER, READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE = f"{R}:servers"
READERS = ("index", "detail", "show", "show:flavor-extra-specs")
MEMBERS = ("update", "delete", "create:attach_volume", "create:attach_network", "create:trusted_certs")
ADMINS = (
    "index:get_all_tenants", "detail:get_all_tenants", "allow_all_filters", "show:host_status",
    "show:host_status:unknown-only", "create:forced_host", "create:zero_disk_flavor",
)  # fmt: skip
RULES = {
    **{f"{RULE}:{rule}": READER for rule in READERS},
    **{f"{RULE}:{rule}": MEMBER for rule in MEMBERS},
    **{f"{RULE}:{rule}": ADMIN for rule in ADMINS},
    f"{RULE}:create": INTO_OWN,
    "compute:servers:create:requested_destination": ADMIN,
    "network:attach_external_network": ADMIN,
    f"{R}:os-extended-server-attributes": ADMIN,
}
