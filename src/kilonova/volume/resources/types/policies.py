"""Policy rules of volume types, with upstream's names."""

from __future__ import annotations

from kilonova.volume.resources.base import OPERATOR, READER

EXTRA_SPECS = "volume_extension:access_types_extra_specs"
QOS = "volume_extension:access_types_qos_specs_id"
ACCESS, SPECS = "volume_extension:volume_type_access", "volume_extension:types_extra_specs"
READ_SENSITIVE = f"{SPECS}:read_sensitive"
RULES = {
    "volume_extension:type_create": OPERATOR,
    "volume_extension:type_update": OPERATOR,
    "volume_extension:type_delete": OPERATOR,
    "volume_extension:type_get": READER,
    "volume_extension:type_get_all": READER,
    EXTRA_SPECS: READER,
    QOS: OPERATOR,
    ACCESS: READER,
    f"{ACCESS}:addProjectAccess": OPERATOR,
    f"{ACCESS}:removeProjectAccess": OPERATOR,
    f"{ACCESS}:get_all_for_type": OPERATOR,
    f"{SPECS}:index": READER,
    f"{SPECS}:show": READER,
    f"{SPECS}:create": OPERATOR,
    f"{SPECS}:update": OPERATOR,
    f"{SPECS}:delete": OPERATOR,
    READ_SENSITIVE: OPERATOR,
}
