"""Policy rules of volumes, with upstream's names."""

from __future__ import annotations

from kilonova.volume.resources.base import MEMBER, OPERATOR, READER

HOST = "volume_extension:volume_host_attribute"
TENANT = "volume_extension:volume_tenant_attribute"
MIGRATION = "volume_extension:volume_mig_status_attribute"
ORDER = "volume:create_for_project"
RULES = {
    "volume:create": MEMBER,
    ORDER: "role:service and role:admin",
    "volume:create_from_image": MEMBER,
    "volume:get": READER,
    "volume:get_all": READER,
    "volume:update": MEMBER,
    "volume:delete": MEMBER,
    "volume:force_delete": OPERATOR,
    "volume:get_volume_metadata": READER,
    "volume:create_volume_metadata": MEMBER,
    "volume:update_volume_metadata": MEMBER,
    "volume:delete_volume_metadata": MEMBER,
    "volume_extension:volume_encryption_metadata": READER,
    HOST: OPERATOR,
    TENANT: READER,
    MIGRATION: OPERATOR,
}
