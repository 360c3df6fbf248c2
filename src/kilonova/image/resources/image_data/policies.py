"""Rules of images' data, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER
from kilonova.image.resources.images.policies import IMAGE_MEMBER, SEEN_BY_ANYONE, SERVICE

RULES: dict[str, str] = {
    "download_image": f"{MEMBER_OR_OWNER} or {SERVICE} or (role:member and ({IMAGE_MEMBER} or {SEEN_BY_ANYONE}))",
    "upload_image": f"{MEMBER_OR_OWNER} or {SERVICE}",
}
