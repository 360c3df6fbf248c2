"""Rules of images, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

SERVICE = "rule:service_api"  # a compute host with a grant for the image
IMAGE_MEMBER = "project_id:%(member_id)s"
SEEN_BY_ANYONE = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
# members of an image may look at it and at their own membership
READER_OR_MEMBER = f"{READER_OR_OWNER} or ((role:reader or role:member) and {IMAGE_MEMBER})"
RULES: dict[str, str] = {
    "add_image": MEMBER_OR_OWNER,
    "delete_image": MEMBER_OR_OWNER,
    "get_image": f"{READER_OR_MEMBER} or {SERVICE} or ((role:reader or role:member) and ({SEEN_BY_ANYONE}))",
    "get_image_location": READER_OR_OWNER,
    "get_images": READER_OR_OWNER,
    "modify_image": MEMBER_OR_OWNER,
    "publicize_image": ADMIN,
    "communitize_image": MEMBER_OR_OWNER,
    "deactivate": MEMBER_OR_OWNER,
    "reactivate": MEMBER_OR_OWNER,
}
