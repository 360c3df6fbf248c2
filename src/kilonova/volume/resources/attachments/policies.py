"""Policy rules of attachments, with upstream's names; reading follows the volume's."""

from __future__ import annotations

from kilonova.volume.resources.base import MEMBER, READER

RULES = {
    "volume:get": READER,
    "volume:get_all": READER,
    "volume:attachment_create": MEMBER,
    "volume:attachment_update": MEMBER,
    "volume:attachment_delete": MEMBER,
    "volume:attachment_complete": MEMBER,
    "volume:multiattach_bootable_volume": MEMBER,
}
