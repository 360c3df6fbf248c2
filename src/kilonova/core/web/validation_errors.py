"""Texts of validation errors in request bodies: the field, and what is allowed there.

msgspec says `Expected `str` matching regex '\\A…' - at `$.server.name``. What a pattern means is said where it is written: by the
`description` of its `Meta`, which ends the sentence "… must be".

    Uuid = Annotated[str, Meta(pattern=…, description="a UUID")]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from kilonova.core.web.wire import Version, hints_of, range_of

KINDS = {
    "str": "a string", "int": "an integer", "float": "a number", "bool": "a boolean", "array": "a list", "object": "an object",
    "null": "null",
}  # fmt: skip
_PLACE = re.compile(r"(.*?)(?: - at `(key` in `)?\$\.?(.*?)`)?", re.S)
_STEP = re.compile(r"\[(?:\d+|\.\.\.)\]|[^.\[]+")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`", re.S)
_MISSING = re.compile(r"Object missing required field `(.+)`", re.S)
_TYPE = re.compile(r"Expected `(.+)`, got `(.+)`", re.S)
_LENGTH = re.compile(r"Expected `(\w+)` of length (<=|>=|==) (\d+)")
_BOUND = re.compile(r"Expected `\w+` (<=|>=|<|>) (\S+)")
_PATTERN = re.compile(r"Expected `str` matching regex (.+)", re.S)
BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
LONGEST = 300  # characters
UNITS = {"str": "character", "array": "item", "object": "entry"}


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """`where` is the place (`server.networks[0].uuid`, "" for the body itself), `what` ends a sentence that begins with it.
    `unknown` or `missing` names the field of that place that may not be, or must be, there; `versions` are the microversions
    (first, last) that have the unknown one."""

    where: str
    what: str
    unknown: str = ""
    missing: str = ""
    versions: tuple[Version, Version] | None = None

    def __str__(self) -> str:
        return f"{short(self.where) or 'the body'} {self.what}"


def violation_of(error: msgspec.ValidationError, kind: Any, version: Version | None = None) -> Violation:
    """Of a decoding as `kind`, at this microversion of it."""
    found = _PLACE.fullmatch(str(error))
    said, of_key, where = found.groups() if found else (str(error), None, None)
    where, kinds = where or "", [*_at(kind, _STEP.findall(where or ""))]
    if unknown := _UNKNOWN.fullmatch(said):
        return _unknown(where, unknown[1], kinds, version)
    if missing := _MISSING.fullmatch(said):
        return Violation(where=where, missing=missing[1], what=f"must have {missing[1]!r}, a required property")
    if of_key:
        keys = [arg for one in kinds if get_origin(one) is dict for arg in _members(get_args(one)[0])]
        return Violation(where=where, what=f"has a key that {_words(said, keys)}")
    return Violation(where=where, what=_words(said, kinds))


def _unknown(where: str, name: str, kinds: list[Any], version: Version | None) -> Violation:
    name = short(name)
    since = next((window for kind in kinds for window in _windows(kind, name)), None)
    if since is None:
        what = f"has no property {name!r}: Additional properties are not allowed ({name!r} was unexpected)"
        return Violation(where=where, unknown=name, what=what)
    first, last = since
    until = f" to {last}" if last.major < 99 else " or later"
    here = f", and this request has {version}" if version is not None else ""
    return Violation(
        where=where, unknown=name, versions=since, what=f"has {name!r} only at microversion {first}{until}{here}"
    )


def _windows(kind: Any, name: str) -> Iterator[tuple[Version, Version]]:
    """The microversions that have a field of this wire name."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return
    hints = hints_of(kind)
    for field in msgspec.structs.fields(kind):
        window = range_of(hints[field.name])
        if window is not None and (window.name or field.encode_name) == name:
            yield window.since, window.until


def _words(said: str, kinds: list[Any]) -> str:
    if found := _LENGTH.fullmatch(said):
        return _length(*found.groups())
    if found := _BOUND.fullmatch(said):
        return f"must be {BOUNDS[found[1]]} {found[2].removesuffix('.0')}"
    if found := _PATTERN.fullmatch(said):
        meaning = [meta.description for meta in _metas(kinds) if repr(meta.pattern) == found[1] and meta.description]
        return f"must be {meaning[0]}" if meaning else "has characters that are not allowed there"
    if found := _TYPE.fullmatch(said):
        return f"must be {_either(KINDS.get(k, k) for k in found[1].split(' | '))}, not {KINDS.get(found[2], found[2])}"
    if said == "Number out of range":
        return "holds a number that is too large"
    if said.startswith("Invalid enum value"):
        allowed = [repr(value) for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        return f"must be {_either(allowed)}" if allowed else f"has an {said[0].lower()}{said[1:]}"
    return short(said)


def short(text: str) -> str:
    """A client's own text, such as a field's name, may be as long as a body."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"


def _length(kind: str, relation: str, number: str) -> str:
    if (relation, number) in (("<=", "0"), ("==", "0")):
        return "is not supported: leave it out"
    if (relation, number) == (">=", "1"):
        return "must not be empty"
    unit = UNITS.get(kind, "item")
    plural = unit if number == "1" else "entries" if unit == "entry" else unit + "s"
    return f"must have {BOUNDS.get(relation, 'exactly')} {number} {plural}"


def _either(options: Any) -> str:
    *most, last = [*dict.fromkeys(options)]
    return f"{', '.join(most)} or {last}" if most else last


def _at(kind: Any, steps: list[str]) -> Iterator[Any]:
    """The types that a value at this place may have."""
    for one in _members(kind):
        if not steps:
            yield one
            continue
        step, rest = steps[0], steps[1:]
        for inner in _inner(_bare(one), step):
            yield from _at(inner, rest)


def _inner(kind: Any, step: str) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = hints_of(kind)
        for field in msgspec.structs.fields(kind):
            window = range_of(hints[field.name])
            if (window.name if window and window.name else field.encode_name) == step:
                yield hints[field.name]
    elif step.startswith("[") and get_args(kind):
        yield get_args(kind)[1 if get_origin(kind) is dict else 0]


def _members(kind: Any) -> Iterator[Any]:
    """The members of a union, or the type itself; what is said of a union is said of each."""
    bare = _bare(kind)
    if get_origin(bare) in (Union, UnionType):
        for arg in get_args(bare):
            yield from _members(arg)
    else:
        yield kind if get_origin(bare) is not Literal else bare


def _bare(kind: Any) -> Any:
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def _metas(kinds: list[Any]) -> Iterator[msgspec.Meta]:
    for kind in kinds:
        if get_origin(kind) is Annotated:
            yield from (meta for meta in kind.__metadata__ if isinstance(meta, msgspec.Meta))
