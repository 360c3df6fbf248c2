"""What a query asks for."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call


def flag(call: Call, name: str) -> bool | None:
    """A query flag as upstream reads it: `?enabled` and everything but 0 and false mean yes."""
    text = call.query.get(name)
    return None if text is None else text.strip().lower() not in ("0", "false", "no", "off")


def given(**values: Any) -> dict[str, Any]:
    """The filters a client really asked for."""
    return {name: value for name, value in values.items() if value is not None}
