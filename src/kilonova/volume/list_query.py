"""What a client asked of a list, apart from HTTP and SQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec


class ListQuery(msgspec.Struct, kw_only=True):
    """`equal`: column → value, or values one of which it has; `parts`: column → a part of its text; `times`: (column, gt, gte, …,
    moment). `sort`: (column, falling); the last one is the id. `metadata` are pairs that the object has, `image_metadata`
    those of its image. `limit` 0: nothing is asked for but the form of the answer."""

    limit: int
    asked: int | None = None
    marker: str | None = None
    offset: int = 0
    sort: list[tuple[str, bool]]
    equal: dict[str, Any] = {}
    parts: dict[str, str] = {}
    times: list[tuple[str, str, dt.datetime]] = []
    metadata: dict[str, str] = {}
    image_metadata: dict[str, str] = {}
    all_projects: bool = False
    counted: bool = False
