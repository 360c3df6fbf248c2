"""Request bodies that wrap one resource: `{"user": {…}}`, with attributes of the client's own beside the known ones."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from kilonova.core.web.call import Call, InvalidInput
from kilonova.core.web.validation_errors import violation_of
from kilonova.identity import errors

T = TypeVar("T", bound=msgspec.Struct)
RESERVED = frozenset({"id", "links"})


async def read(call: Call, name: str, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """(the resource, its extra attributes); a 400 names what is missing or wrong."""
    body = await call.decode(dict[str, Any])
    inner = body.get(name)
    if not isinstance(inner, dict):
        raise errors.Missing(attribute=name, target="request body")
    try:
        made = msgspec.convert(inner, kind)
    except msgspec.ValidationError as error:
        found = violation_of(error, kind)
        where = ".".join(part for part in (name, found.where) if part)
        raise InvalidInput(reason=f"{where} {found.what}") from None
    known = RESERVED | {field.encode_name for field in msgspec.structs.fields(kind)}
    return made, {key: value for key, value in inner.items() if key not in known}


def columns(body: msgspec.Struct, *left_out: str) -> dict[str, Any]:
    """The fields that the client gave, as columns."""
    found = {name: getattr(body, name) for name in body.__struct_fields__ if name not in left_out}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}


def given_options(options: msgspec.Struct | None) -> dict[str, Any]:
    """The resource options that the client set, or took away with null."""
    return {} if options is None else columns(options)


def changes(body: msgspec.Struct) -> dict[str, Any]:
    """The columns of an update; `options` where the client named any."""
    options = given_options(getattr(body, "options"))  # noqa: B009
    return columns(body, "options") | ({"options": options} if options else {})


def flag(call: Call, name: str) -> bool | None:
    """A query flag as upstream reads it: `?enabled` and everything but 0 and false mean yes."""
    text = call.query.get(name)
    return None if text is None else text.strip().lower() not in ("0", "false", "no", "off")
