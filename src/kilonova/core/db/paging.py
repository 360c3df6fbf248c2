"""Pages of sorted lists: clients choose the keys, so that neither their number nor their repetition may cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def beyond(keys: Iterable[tuple[ColumnElement[Any], Any, bool]]) -> ColumnElement[bool]:
    """What comes after the row with these values, in the order of the keys: (column, value, descending), at least one. The
    condition grows with the number of keys, not with its square."""
    (last, value, falling), *rest = reversed(list(keys))
    found: ColumnElement[bool] = last < value if falling else last > value
    for key, value, falling in rest:
        found = or_(key < value if falling else key > value, and_(key == value, found))
    return found
