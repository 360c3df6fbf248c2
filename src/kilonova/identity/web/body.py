"""Request bodies that wrap one resource: `{"user": {…}}`, with attributes of the client's own beside the known ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from kilonova.core.web.call import Call, InvalidInput
from kilonova.core.web.validation_errors import violation_of
from kilonova.identity import errors

T = TypeVar("T", bound=msgspec.Struct)
RESERVED = frozenset({"id", "links"})


async def read(call: Call, kind: type[T]) -> tuple[T, dict[str, Any]]:
    """(the body, the extra attributes of the resource in it); `kind` has one field, the resource. A 400 names what is missing
    or wrong."""
    name, inner_kind, known = _resource_of(kind)
    inner = (await call.decode(dict[str, Any])).get(name)
    call.reads(kind)
    if not isinstance(inner, dict):
        raise errors.Missing(attribute=name, target="request body")
    try:
        made = msgspec.convert(inner, inner_kind)
    except msgspec.ValidationError as error:
        found = violation_of(error, inner_kind)
        where = ".".join(part for part in (name, found.where) if part)
        raise InvalidInput(reason=f"{where} {found.what}") from None
    return kind(**{name: made}), {key: value for key, value in inner.items() if key not in known}


@lru_cache
def _resource_of(kind: type[msgspec.Struct]) -> tuple[str, Any, frozenset[str]]:
    """(the name, the shape, the attributes) of the resource that a body wraps."""
    (field,) = msgspec.structs.fields(kind)
    return field.name, field.type, RESERVED | {inner.encode_name for inner in msgspec.structs.fields(field.type)}


def columns(body: msgspec.Struct, *left_out: str) -> dict[str, Any]:
    """The fields that the client gave, as columns."""
    found = {name: getattr(body, name) for name in body.__struct_fields__ if name not in left_out}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}


def given_options(options: msgspec.Struct | None) -> dict[str, Any]:
    """The resource options that the client set, or removed with null."""
    return {} if options is None else columns(options)


def changes(body: msgspec.Struct) -> dict[str, Any]:
    """The columns of an update; `options` where the client named any."""
    options = given_options(getattr(body, "options"))  # noqa: B009
    return columns(body, "options") | ({"options": options} if options else {})


def domain_of(call: Call) -> str:
    """Where things are made when the client names no domain."""
    return call.ctx.domain_id or call.ctx.project_domain_id or call.ctx.user_domain_id or "default"
