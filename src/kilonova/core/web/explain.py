"""What is wrong with a body, in words, where msgspec's own would show a regular expression or hide that a field needs another
microversion.

    Tag = Annotated[str, Meta(pattern=r"\\A[^,/]*\\Z", description="text without , and /")]

becomes «Expected text without , and / - at `$.server.tags[0]`».
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, get_args, get_type_hints

import msgspec

from kilonova.core.web.wire import Version, range_of

LONGEST = 600  # characters; a client's own text, such as a field's name, may be much longer
UNKNOWN = re.compile(r"Object contains unknown field `([^`]{1,80})`")
PATTERN, PLACE = "Expected `str` matching regex ", " - at `"


def explain(kind: Any, version: Version | None, text: str) -> str:
    """`text` is msgspec's about a body of this kind."""
    head, at, place = text.rpartition(PLACE)
    what, where = (head, at + place) if at else (text, "")
    if what.startswith(PATTERN) and (words := _descriptions(kind).get(what.removeprefix(PATTERN))):
        what = f"Expected {words}"
    elif version is not None and (unknown := UNKNOWN.fullmatch(what)) and (why := _why(kind, unknown[1], version)):
        what = f"{what}: {why}, and this request has {version}"
    return _short(what) + _short(where)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _why(kind: Any, name: str, version: Version) -> str | None:
    """Of a field that other versions have."""
    for window, wire_name in _windows(kind):
        if wire_name == name and not window.holds(version):
            if window.until.minor >= 999:
                return f"it needs microversion {window.since} or later"
            return f"it is for microversions {window.since} to {window.until}"
    return None


@lru_cache(512)
def _windows(kind: Any) -> tuple[tuple[Any, str], ...]:
    """(range, name on the wire) of all fields that have a range, at any depth."""
    return tuple(
        (window, window.name or field.encode_name)
        for struct in _structs(kind, set())
        for field, hint in _fields(struct)
        if (window := range_of(hint)) is not None
    )


@lru_cache(512)
def _descriptions(kind: Any) -> dict[str, str]:
    """Pattern, as msgspec writes it → its description."""
    hints = [kind, *(hint for struct in _structs(kind, set()) for _, hint in _fields(struct))]
    return {
        repr(meta.pattern): meta.description
        for hint in hints
        for meta in _metas(hint)
        if meta.pattern is not None and meta.description is not None
    }


def _fields(struct: type[msgspec.Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(struct, include_extras=True)
    return ((field, hints[field.name]) for field in msgspec.structs.fields(struct))


def _structs(kind: Any, seen: set[Any]) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return
        seen.add(kind)
        yield kind
        for _, hint in _fields(kind):
            yield from _structs(hint, seen)
    for arg in get_args(kind):
        yield from _structs(arg, seen)


def _metas(hint: Any) -> Iterator[msgspec.Meta]:
    yield from (meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta))
    for arg in get_args(hint):
        yield from _metas(arg)
