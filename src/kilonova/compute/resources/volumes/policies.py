"""Policy rules of volumes and their snapshots, as compute shows them."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import R

RULE = f"{R}:os-volumes"
SNAPSHOTS = f"{RULE}:snapshots"
RULES = {
    f"{rule}:{name}": check
    for rule in (RULE, SNAPSHOTS)
    for name, check in {
        "list": READER, "detail": READER, "show": READER, "create": MEMBER, "delete": MEMBER,
    }.items()
}  # fmt: skip
