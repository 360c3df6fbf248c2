"""Upstream's resource options: what is set, what it changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kilonova.identity import errors
from kilonova.identity.store.records import OptionsRow

IMMUTABLE = "immutable"
LOCK_PASSWORD = "lock_password"  # noqa: S105
MFA_ENABLED, MFA_RULES = "multi_factor_auth_enabled", "multi_factor_auth_rules"


def merged(known: dict[str, Any] | None, changes: dict[str, Any]) -> dict[str, Any]:
    """The options afterwards; None removes one."""
    return {name: value for name, value in ((known or {}) | changes).items() if value is not None}


def check_update(kind: str, row: OptionsRow, values: dict[str, Any], extra: dict[str, Any]) -> None:
    """Of an immutable resource nothing changes but that option, by itself."""
    if not is_immutable(row):
        return
    options = values.get("options", {})
    if extra or values.keys() != {"options"} or options.keys() != {IMMUTABLE} or options[IMMUTABLE]:
        raise errors.ResourceUpdateForbidden(kind=kind, id=row.id)


def check_delete(kind: str, row: OptionsRow) -> None:
    if is_immutable(row):
        raise errors.ResourceDeleteForbidden(kind=kind, id=row.id)


def is_immutable(row: OptionsRow) -> bool:
    return bool((row.options or {}).get(IMMUTABLE))


def suffices(options: dict[str, Any] | None, methods: Iterable[str]) -> bool:
    """Whether a login by these methods is enough for a user: one of the rules names no other method. A rule with a method that
    is not there is met by no login."""
    options, used = options or {}, {"password" if method == "v1" else method for method in methods}
    rules = options.get(MFA_RULES)
    if not rules or options.get(MFA_ENABLED) is False:
        return True
    return any(used.issuperset(rule) for rule in rules)
