"""Rows that several nouns have, and the SQL that every noun needs."""

from __future__ import annotations

from typing import Any

from kilonova.core.db import TypedRow
from kilonova.core.db.records import R, Records

__all__ = ["NamedRow", "OptionsRow", "R", "Records"]


class NamedRow(TypedRow):
    """What clients call it, and the attributes of their own."""

    id: str
    name: str
    extra: dict[str, Any]


class OptionsRow(NamedRow):
    """`options` are upstream's resource options that are set."""

    options: dict[str, Any] | None
