"""The parameters of a request: `Filter.1.Value.2=x` becomes {"Filters": [{"Values": [.., "x"]}]}, with the names and types of the
operation's input."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import ListShape, MapShape, Shape, StructureShape

from kilonova.core.clock import parse_iso
from kilonova.ec2 import errors
from kilonova.ec2.protocol.model import OperationModel, query_name

MAX_PARAMETERS = 3000
MAX_DEPTH = 12
SIGNING = frozenset({
    "Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp", "Expires",
    "SecurityToken",
})  # fmt: skip
TRUTHS = {"true": True, "false": False, "1": True, "0": False}
Tree = dict[str, Any]  # text, or a Tree


def parameters(text: str) -> dict[str, str]:
    """Of a query or a form. Raises MalformedQueryString."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as error:
        raise errors.MalformedQueryString(reason=str(error)) from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise errors.MalformedQueryString(reason="a parameter is given twice")
    return found


def read(operation: OperationModel, given: Mapping[str, str]) -> dict[str, Any]:
    """The operation's input. Raises MissingParameter, UnknownParameter and InvalidParameterValue."""
    names = (name for name in given if name not in SIGNING and not name.startswith("X-Amz-"))
    tree = _tree((name, given[name]) for name in names)
    if operation.input_shape is None:
        if tree:
            raise errors.UnknownParameter(name=next(iter(tree)))
        return {}
    found = _value(operation.input_shape, tree, "")
    assert isinstance(found, dict)  # noqa: S101
    return found


def _tree(pairs: Iterable[tuple[str, str]]) -> Tree:
    root: Tree = {}
    for name, value in pairs:
        *path, last = name.split(".")
        if len(path) >= MAX_DEPTH or "" in path or not last:
            raise errors.UnknownParameter(name=name)
        place = root
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise errors.UnknownParameter(name=name)
        if last in place:
            raise errors.UnknownParameter(name=name)
        place[last] = value
    return root


def _value(shape: Shape, given: Any, name: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, _branch(given, name), name)
    if isinstance(shape, ListShape):
        return [_value(shape.member, item, f"{name}.{number}") for number, item in _numbered(given, name)]
    if isinstance(shape, MapShape):
        raise errors.UnknownParameter(name=name)  # no input of EC2 has one
    if not isinstance(given, str):
        raise errors.UnknownParameter(name=f"{name}.{next(iter(given), '')}")
    return _scalar(shape, given, name)


def _structure(shape: StructureShape, given: Tree, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = dict(given)
    for member, inner in shape.members.items():
        called = query_name(member, inner)
        if called in left:
            found[member] = _value(inner, left.pop(called), f"{name}.{called}" if name else called)
    if left:
        unknown = next(iter(left))
        raise errors.UnknownParameter(name=f"{name}.{unknown}" if name else unknown)
    for member in shape.required_members:
        if member not in found:
            called = query_name(member, shape.members[member])
            raise errors.MissingParameter(name=f"{name}.{called}" if name else called)
    return found


def _branch(given: Any, name: str) -> Tree:
    if not isinstance(given, dict):
        if given == "":
            return {}  # how some clients write an empty one
        raise errors.InvalidParameterValue(name=name, value=given, reason="It has parts of its own.")
    return given


def _numbered(given: Any, name: str) -> list[tuple[str, Any]]:
    """In the order of their numbers, which need not be without gaps."""
    branch = _branch(given, name)
    for number in branch:
        if not (number.isascii() and number.isdigit() and len(number) < 6):
            raise errors.UnknownParameter(name=f"{name}.{number}")
    return sorted(branch.items(), key=lambda item: int(item[0]))


def _scalar(shape: Shape, given: str, name: str) -> Any:
    try:
        match shape.type_name:
            case "boolean":
                return TRUTHS[given.lower()]
            case "integer" | "long":
                return _whole(given, 31 if shape.type_name == "integer" else 63)
            case "float" | "double":
                return float(given)
            case "timestamp":
                return parse_iso(given)
            case "blob":
                return base64.b64decode(given, validate=True)
    except (ValueError, KeyError, binascii.Error):
        raise errors.InvalidParameterValue(
            name=name, value=given[:200], reason=f"It is not a valid {shape.type_name}."
        ) from None
    return given


def _whole(given: str, bits: int) -> int:
    if not given.removeprefix("-").isascii() or not given.removeprefix("-").isdigit() or len(given) > 20:
        raise ValueError(given)
    number = int(given)
    if not -(1 << bits) <= number < 1 << bits:
        raise ValueError(given)
    return number
