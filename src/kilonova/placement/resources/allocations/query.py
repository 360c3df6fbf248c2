"""The query of the usage of projects, decoded."""

from __future__ import annotations

import re

from kilonova.core.web.call import Call
from kilonova.placement.resources.parameters import InvalidParameters, check_known

USAGES = {"project_id": "1.9", "user_id": "1.9", "consumer_type": "1.38"}
CONSUMER_TYPE = re.compile(r"[A-Z0-9_]+|all|unknown")


def project_of(call: Call) -> str:
    """Whose usage is asked for."""
    project_id: str = call.query.get("project_id") or ""
    if not project_id:
        raise InvalidParameters(reason="'project_id' is a required property")
    return project_id


def read_usages(call: Call) -> tuple[str | None, str | None]:
    """(user, consumer type) that usages of a project are limited to."""
    check_known(call, USAGES)
    for name, text in call.query.items():
        if not 1 <= len(text) <= 255:
            raise InvalidParameters(reason=f"{name} has 1 to 255 characters")
    kind = call.query.get("consumer_type")
    if kind is not None and not CONSUMER_TYPE.fullmatch(kind):
        raise InvalidParameters(reason=f"consumer_type {kind!r} is not of A-Z, 0-9 and _, nor 'all' or 'unknown'")
    return call.query.get("user_id"), kind
