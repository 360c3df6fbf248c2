"""Version predicates of images: `>=6.0,<7.2` against libvirt's number 7002000 (7.2.0)."""

from __future__ import annotations

import operator
import re

OPERATORS = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
    "=": operator.eq,
}  # fmt: skip
PART = re.compile(r"^(>=|<=|==|!=|>|<|=)?\s*([0-9]{1,6}(?:\.[0-9]{1,6}){0,2})$", re.ASCII)


def satisfies(number: int, predicate: str) -> bool:
    """All parts of the predicate hold; False for one that makes no sense."""
    have = (number // 1_000_000, number // 1000 % 1000, number % 1000)
    for text in predicate.split(","):
        found = PART.match(text.strip())
        if found is None:
            return False
        parts = [int(part) for part in found[2].split(".")]
        wanted = (parts[0], *parts[1:], *(0,) * (3 - len(parts)))
        if not OPERATORS[found[1] or "=="](have, wanted):
            return False
    return True
