"""Rows with types. A statement's columns are a class beside it, in `store/<noun>.py`:

    class ProviderRow(TypedRow):
        id: int
        uuid: str
        parent_uuid: str | None

    async def find(connection: Connection, uuid: str) -> ProviderRow | None:
        return first(await connection.execute(*_found(uuid)), ProviderRow)

No object of such a class is ever made: rows stay SQLAlchemy's. Tests compare them with the class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from sqlalchemy import CursorResult

checked = False
"""Whether rows are compared with their classes. Set by tests."""
found: list[str] = []
"""Every difference, for tests in which the error is taken for an outage."""
NUMBERS = (int, float, Decimal)
"""Not distinguished: engines differ in the type of a sum or a boolean."""


class TypedRow:
    """What the rows of a statement have. A class for more columns of the same table inherits from the one for fewer."""

    if TYPE_CHECKING:
        _mapping: Mapping[str, Any]

        def __iter__(self) -> Iterator[Any]: ...


R = TypeVar("R", bound=TypedRow)


class WrongColumns(Exception):
    """A statement's rows are not what their class says."""


def every(result: CursorResult[Any], kind: type[R]) -> Sequence[R]:
    """All rows of a result."""
    rows = result.all()
    if checked:
        _compare(rows, kind)
    return cast("Sequence[R]", rows)


def first(result: CursorResult[Any], kind: type[R]) -> R | None:
    """The first row of a result, if there is one."""
    row = result.first()
    if checked and row is not None:
        _compare([row], kind)
    return cast("R | None", row)


def one(result: CursorResult[Any], kind: type[R]) -> R:
    """The only row of a result, which is sure to have one."""
    row = result.one()
    if checked:
        _compare([row], kind)
    return cast("R", row)


def _compare(rows: Iterable[Any], kind: Any) -> None:
    columns = _columns(kind)
    for row in rows:
        if missing := columns.keys() - row._mapping.keys():
            _fail(f"{kind.__name__} says that rows have {sorted(missing)}; they have {[*row._mapping]}")
        for name, types in columns.items():
            value = row._mapping[name]
            if types and not isinstance(value, types):
                _fail(f"{kind.__name__}.{name} is {value!r}, which is none of {types}")


def _fail(what: str) -> NoReturn:
    found.append(what)
    raise WrongColumns(what)


@cache
def _columns(kind: Any) -> dict[str, tuple[type, ...]]:
    """By column, the classes that a value may have; none where the class says no more than Any."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}
    return {name: _classes(hint) for name, hint in hints.items()}


def _classes(hint: Any) -> tuple[type, ...]:
    found: list[type] = []
    for member in get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,):
        bare = get_origin(member) or member
        if not isinstance(bare, type):
            return ()
        found += NUMBERS if bare in NUMBERS or bare is bool else [bare]
    return tuple(found)
