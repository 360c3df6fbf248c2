"""JSON patch as the image API understands it: add, replace and remove of whole attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kilonova.image import errors
from kilonova.image.fields import Field, check
from kilonova.image.resources.images.schemas import FIXED, READ_ONLY, RESERVED, RESERVED_PREFIX, ImageRecord

OPERATIONS = ("add", "remove", "replace")
ONLY_WHILE_QUEUED = ("disk_format", "container_format")


class Change(msgspec.Struct, frozen=True):
    op: str
    name: str
    value: Any = None


def check_name(name: str) -> None:
    """Raises for attributes that no client sets."""
    if name in READ_ONLY:
        raise errors.ReadOnlyAttribute(name=name)
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise errors.ReservedAttribute(name=name)


def parse(body: Any, fields: Mapping[str, Field], *, old: bool = False) -> list[Change]:
    """The changes of a request's body, each checked by itself. `old` operations are of the v2.0 media type:
    `{"replace": "/name", "value": "x"}`."""
    if not isinstance(body, list):
        raise errors.InvalidPatch(reason="Request body must be a JSON array of operation objects.")
    return [_parse_one(_renewed(item) if old else item, fields) for item in body]


def _renewed(item: Any) -> Any:
    """An operation of v2.0 as v2.1 has it."""
    if not isinstance(item, dict):
        return item
    found = [op for op in OPERATIONS if op in item]
    if len(found) != 1:
        raise errors.InvalidPatch(reason=f"Operation objects must contain only one member of {', '.join(OPERATIONS)}.")
    return {"op": found[0], "path": item[found[0]]} | {key: item[key] for key in ("value",) if key in item}


def _parse_one(item: Any, fields: Mapping[str, Field]) -> Change:
    if not isinstance(item, dict):
        raise errors.InvalidPatch(reason="Operations must be JSON objects.")
    op = item.get("op")
    if op not in OPERATIONS:
        reason = "Unable to find `op` in JSON Schema change." if op is None else f"Invalid operation: `{op}`."
        raise errors.InvalidPatch(reason=f"{reason} It must be one of the following: {', '.join(OPERATIONS)}.")
    if not isinstance(item.get("path"), str):
        raise errors.InvalidPatch(reason="Unable to find 'path' in JSON Schema change")
    path = pointer(item["path"])
    if path[0] == "locations":
        raise errors.LocationsNotChangeable(verb=op)
    if len(path) != 1 or not path[0]:
        raise errors.InvalidPatch(reason=f"Invalid JSON pointer for this resource: '/{'/'.join(path)}'")
    name = path[0]
    check_name(name)
    if op == "remove":
        return Change(op, name)
    if "value" not in item:
        raise errors.InvalidPatch(reason=f'Operation "{op}" requires a member named "value".')
    check(fields, {name: item["value"]})
    return Change(op, name, item["value"])


def pointer(text: str) -> list[str]:
    """The parts of a JSON pointer, of the limited form that images use."""
    if not text.startswith("/"):
        raise errors.InvalidPatch(reason=f'Pointer `{text}` does not start with "/".')
    if re.search(r"/\s*?/", text[1:]):
        raise errors.InvalidPatch(reason=f'Pointer `{text}` contains adjacent "/".')
    if len(text) > 1 and text.endswith("/"):
        raise errors.InvalidPatch(reason=f'Pointer `{text}` end with "/".')
    if re.search("~[^01]", text) or text.endswith("~"):
        raise errors.InvalidPatch(reason=f'Pointer `{text}` contains "~" not part of a recognized escape sequence.')
    return [part.replace("~1", "/").replace("~0", "~").strip() for part in text.lstrip("/").split("/")]


def apply(image: ImageRecord, changes: list[Change], *, is_admin: bool) -> ImageRecord:
    """The image after all changes."""
    values: dict[str, Any] = {}
    properties = dict(image.properties)
    for change in changes:
        if change.name in FIXED:
            _check_fixed(image, change, is_admin)
            values[change.name] = change.value
        else:
            _apply_extra(properties, change)
    if "tags" in values:
        values["tags"] = sorted(set(values["tags"]))
    return msgspec.structs.replace(image, **values, properties=properties)


def _check_fixed(image: ImageRecord, change: Change, is_admin: bool) -> None:
    if change.op == "remove":
        raise errors.NotRemovable(name=change.name)
    if change.name == "owner" and not is_admin:
        raise errors.OwnerNotChangeable
    if change.name in ONLY_WHILE_QUEUED and image.status != "queued" and getattr(image, change.name) != change.value:
        raise errors.OnlyWhileQueued(name=change.name)


def _apply_extra(properties: dict[str, str], change: Change) -> None:
    if change.op != "add" and change.name not in properties:
        raise errors.NoSuchProperty(name=change.name)
    if change.op == "remove" or change.value is None:
        properties.pop(change.name, None)
    else:
        properties[change.name] = change.value
