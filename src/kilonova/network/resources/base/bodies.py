"""Bodies as clients send them: one object in its envelope, or many."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from kilonova.core.web.call import Call
from kilonova.core.web.validation_errors import Violation, violation_of
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.resources.base.shape import Shape


async def read_one(call: Call, shape: Shape, kind: Any = None) -> Any:
    """An update, or something of this kind: `{"network": {…}}`"""
    envelope, kind = await _envelope(call, shape.name), kind or shape.update
    call.reads(kind)
    return _decode(shape, envelope[shape.name], kind)


async def read_shape(call: Call, shape: Shape, kind: Any) -> Any:
    """Something of this kind without an envelope."""
    raw = await call.body()
    call.reads(kind)
    return _decode(shape, msgspec.Raw(raw.strip() or b"{}"), kind)


async def read_many(call: Call, shape: Shape, most: int) -> tuple[list[Any], bool]:
    """New objects: `{"network": {…}}` or `{"networks": [{…}, …]}` with at most so many, and whether it was the second. In a list
    each may have its own envelope: `{"networks": [{"network": {…}}, …]}`"""
    envelope = await _envelope(call, shape.name, shape.collection)
    call.reads(shape.create)
    if shape.name in envelope:
        return [_decode(shape, envelope[shape.name], shape.create)], False
    try:
        parts = msgspec.json.decode(envelope[shape.collection], type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        raise errors.HTTPBadRequest(reason="Body contains invalid data") from None
    if not parts:
        raise errors.HTTPBadRequest(reason="Resources required")
    if len(parts) > most:
        reason = f"One request can create at most {most} {shape.collection}, not {len(parts)}"
        raise errors.HTTPBadRequest(reason=reason)
    return [_decode(shape, _unwrapped(part, shape.name), shape.create) async for part in yielding(parts)], True


def _unwrapped(part: msgspec.Raw, name: str) -> msgspec.Raw:
    with contextlib.suppress(msgspec.ValidationError):
        found = msgspec.json.decode(part, type=dict[str, msgspec.Raw])
        if len(found) == 1 and name in found:
            return found[name]
    return part


async def _envelope(call: Call, *names: str) -> dict[str, msgspec.Raw]:
    raw = await call.body()
    if not raw.strip():
        raise errors.HTTPBadRequest(reason="Resource body required")
    try:
        found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise errors.HTTPBadRequest(reason="Body contains invalid data") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.HTTPBadRequest(reason=f"Malformed request body: {error}") from None
    if not any(name in found for name in names):
        raise errors.HTTPBadRequest(reason=f"Unable to find '{names[0]}' in request body")
    return found


def _decode(shape: Shape, raw: msgspec.Raw, kind: Any) -> Any:
    """Booleans and numbers may come as text, as upstream takes them."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise errors.HTTPBadRequest(reason=_reason(violation_of(error, kind), shape)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.HTTPBadRequest(reason=f"Malformed request body: {error}") from None


def _reason(found: Violation, shape: Shape) -> str:
    where = f"{found.where}." if found.where else ""
    if found.unknown:
        known = {field.encode_name for field in msgspec.structs.fields(shape.view)}
        if found.unknown in known and not where:
            return f"Attribute '{found.unknown}' cannot be set here"
        return f"Unrecognized attribute(s) '{where}{found.unknown}'"
    if found.missing:
        return f"Failed to parse request. Required attribute '{where}{found.missing}' not specified"
    return f"Invalid input for {found.where or shape.name}. Reason: it {found.what}."
