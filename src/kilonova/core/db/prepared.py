"""Statements that are compiled once.

    @prepared
    def _living(uuid: Any, *, lock: bool) -> Select[Any]:
        query = select(servers).where(servers.c.uuid == uuid, servers.c.deleted == 0)
        return locked(query) if lock else query

    row = (await connection.execute(*_living(uuid, lock=True))).first()

Putting a statement together takes SQLAlchemy several times as long as SQLite takes to execute it. What a builder gets by position
is bound anew with each execution (a list for IN, too); what it gets by keyword makes the statement another one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, TypeVar

from sqlalchemy import Executable, bindparam
from sqlalchemy import insert as _insert

SHAPES = 256  # of one builder that are kept; clients choose some, as the keys of a sorted list
S = TypeVar("S", bound=Executable)
insert = cache(_insert)
"""SQLAlchemy's, once a table: `execute(insert(table), rows)`."""


def prepared(build: Callable[..., S]) -> Callable[..., tuple[Executable, dict[str, Any]]]:
    """A function with the builder's signature that returns what `execute` takes."""
    parameters = inspect.signature(build).parameters.values()
    # a name that no column has: those of columns mean SET and VALUES
    names = [f"given_{parameter.name}" for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]

    @lru_cache(SHAPES)
    def statement(**shape: Any) -> S:
        return build(*map(bindparam, names), **shape)

    def ready(*values: Any, **shape: Any) -> tuple[Executable, dict[str, Any]]:
        return statement(**shape), dict(zip(names, values, strict=True))

    return ready
