"""Policy rules of a server's volumes. The volume service alone may swap one, as upstream has it."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import R

RULE = f"{R}:os-volumes-attachments"
SWAP = f"{RULE}:swap"
RULES = {
    f"{RULE}:index": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": MEMBER,
    f"{RULE}:update": MEMBER,
    f"{RULE}:delete": MEMBER,
    SWAP: "role:service",
}
