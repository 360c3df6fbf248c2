"""What a client asks of the image list, already checked."""

from __future__ import annotations

import msgspec


class Condition(msgspec.Struct, frozen=True):
    """`column` compared by `operator` (eq, neq, in, gt, gte, lt, lte) with one value, or several for `in`."""

    column: str
    operator: str
    values: tuple[str | int | bool, ...]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`visibility` None is the default view: what the project owns, is public, or was shared with it and accepted."""

    conditions: list[Condition]
    properties: list[tuple[str, str]]
    tags: list[str]
    visibility: str | None
    member_status: str
    sort: list[tuple[str, str]]
    marker: str | None
    limit: int
