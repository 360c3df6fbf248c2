"""Rules of image members, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER
from kilonova.image.resources.images.policies import IMAGE_MEMBER, READER_OR_MEMBER

RULES: dict[str, str] = {
    "add_member": MEMBER_OR_OWNER,
    "delete_member": MEMBER_OR_OWNER,
    "get_member": READER_OR_MEMBER,
    "get_members": READER_OR_MEMBER,
    "modify_member": f"{ADMIN} or (role:member and {IMAGE_MEMBER})",
}
