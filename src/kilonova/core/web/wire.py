"""Wire shapes with microversions as data.

    class ServerCreate(Body):
        name: str
        description: Annotated[str | None | UnsetType, versions("2.19")] = UNSET

A field with `versions(since, until, name)` exists only in that range. Decoding refuses it outside, encoding leaves it out.
Two fields may share a wire name in disjoint ranges by `name`. Optional fields default to UNSET and are then left out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")
FIRST, LAST = "0.0", "99.999"  # of a field or route without a bound


class Version(msgspec.Struct, frozen=True, order=True):
    """A microversion."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises ValueError unless the text is `N.M`."""
        return _parsed(text)


@lru_cache(1024)
def _parsed(text: str) -> Version:
    major, dot, minor = text.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal() and major.isascii() and minor.isascii()):
        raise ValueError(text)
    if len(text) > 12 or major != str(int(major)) or minor != str(int(minor)):
        raise ValueError(text)
    return Version(int(major), int(minor))


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request: unknown fields are refused."""


class View(msgspec.Struct, kw_only=True):
    """A response, or a request that tolerates unknown fields."""

    other_fields: ClassVar[Any] = None
    """The type of fields beside the known ones, such as properties with names of the client's own; None where there are none."""


class Range(msgspec.Struct, frozen=True):
    """Microversions, both ends included, and a field's name on the wire in them where it differs."""

    since: Version
    until: Version
    name: str | None

    def holds(self, version: Version) -> bool:
        return self.since <= version <= self.until


def versions(since: str = FIRST, until: str = LAST, *, name: str | None = None) -> msgspec.Meta:
    """Annotation of a field that exists from `since` to `until` (both included); `name` is its name on the wire."""
    window = Range(Version.parse(since), Version.parse(until), name)
    return msgspec.Meta(extra={"range": window}, extra_json_schema=microversions(since, until))


def microversions(since: str | None, until: str | None) -> dict[str, Any]:
    """Of a field or route, as OpenAPI documents say it: `{"x-openstack": {"min-ver": "2.19"}}`."""
    bounds = {"min-ver": since if since != FIRST else None, "max-ver": until if until != LAST else None}
    given = {key: bound for key, bound in bounds.items() if bound}
    return {"x-openstack": given} if given else {}


def media(content_type: str) -> msgspec.Meta:
    """Annotation of a body or reply that is not `application/json`."""
    return msgspec.Meta(extra={"media": content_type})


def members(kind: Any) -> tuple[Any, ...]:
    """Of a union; of another type itself; none of None, which stands for no body at all."""
    if kind is None:
        return ()
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


@lru_cache(maxsize=1024)
def wrapped(name: str, kind: Any) -> type[View]:
    """The shape `{name: kind}`, as a route declares it whose handler reads or writes the wrapping by itself; the same type
    for the same arguments."""
    inner = _struct_in(kind)
    title = re.sub(r"\W", "_", f"{name}_{inner.__name__ if inner is not None else 'wrapped'}")
    fields = [("inner", kind, msgspec.field(name=name))]
    module = inner.__module__ if inner is not None else __name__  # shapes of one name are told apart by it
    made: type[View] = msgspec.defstruct(title, fields, bases=(View,), kw_only=True, module=module)  # type: ignore[assignment]
    return made


_Refused = Annotated[str, msgspec.Meta(pattern="(?!)", description="no such field")]
"""No value fits it, not even under the made-up name that a field out of range has."""


def hints_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The type of each field of a Struct, with what is annotated; those of a generic one are filled in."""
    return {field.name: field.type for field in msgspec.structs.fields(kind)}


def range_of(kind: Any) -> Range | None:
    """The microversions that a field of this type exists in; None for all."""
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra and "range" in meta.extra:
                found: Range = meta.extra["range"]
                return found
    return None


@lru_cache(maxsize=4096)
def at_version(kind: Any, version: Version, *, lenient: bool = False, closed: bool = False) -> Any:
    """The type to decode at a version: a Struct's subclass where fields out of range can't be met on the wire. `lenient` ones
    pass over fields that they do not know; `closed` ones refuse them, unless they have `other_fields`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_at(kind, version, lenient, closed)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = at_version(args[0], version, lenient=lenient, closed=closed)
        return kind if inner is args[0] else Annotated[(inner, *kind.__metadata__)]
    if not args:
        return kind
    narrowed = tuple(at_version(a, version, lenient=lenient, closed=closed) if _may_hold_struct(a) else a for a in args)
    if narrowed == args:
        return kind
    if origin in (Union, UnionType):
        return Union[narrowed]  # noqa: UP007 - built at run time
    return origin[narrowed]


def _may_hold_struct(kind: Any) -> bool:
    return isinstance(kind, type) or bool(get_args(kind))


def _struct_at(kind: type[msgspec.Struct], version: Version, lenient: bool, closed: bool) -> type[msgspec.Struct]:
    known_alone = kind.__struct_config__.forbid_unknown_fields or (
        closed and getattr(kind, "other_fields", None) is None
    )
    strict = known_alone and not lenient
    hints = hints_of(kind)
    changed: list[Any] = []
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        window = range_of(hint)
        default = {"default": field.default} if field.default is not msgspec.NODEFAULT else {}
        if field.default_factory is not msgspec.NODEFAULT:
            default = {"default_factory": field.default_factory}
        if window is not None and not window.holds(version):
            changed.append(
                (field.name, _Refused, msgspec.field(**(default or {"default": msgspec.UNSET}), name=f" {field.name}"))
            )
            continue
        name = window.name if window and window.name else field.encode_name
        narrowed = at_version(hint, version, lenient=lenient, closed=closed)
        if narrowed is not hint or name != field.encode_name:
            changed.append((field.name, narrowed, msgspec.field(name=name, **default)))
    if not changed and strict == kind.__struct_config__.forbid_unknown_fields:
        return kind
    return msgspec.defstruct(
        kind.__name__,
        changed,
        bases=(kind,),
        kw_only=True,
        module=kind.__module__,
        forbid_unknown_fields=strict,
    )


@lru_cache(maxsize=4096)
def _plan(kind: Any, version: Version) -> list[tuple[str, str, bool]] | None:
    """The fields that there are at a version: attribute, name on the wire, whether it holds what has a plan of its own. None
    where it is encoded as it is."""
    fields, same = [], True
    hints = hints_of(kind)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        window = range_of(hint)
        refused = hint is _Refused  # of a decoded request
        if refused or (window is not None and not window.holds(version)):
            same = False
            continue
        inner = _struct_in(hint)
        deeper = inner is not None and _plan(inner, version) is not None
        name = window.name if window is not None and window.name else field.encode_name
        same = same and not deeper and name == field.encode_name
        fields.append((field.name, name, deeper))
    if not same and kind.__struct_config__.omit_defaults:
        raise TypeError(f"{kind.__name__} leaves out defaults and has versions: it can't have both")
    return None if same else fields


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    for arg in get_args(kind):
        found = _struct_in(arg)
        if found is not None:
            return found
    return None


def _shown(value: Any, version: Version) -> Any:
    """What to encode instead; what needs no change stays a Struct, which msgspec encodes by itself."""
    if isinstance(value, list):
        return [_shown(item, version) for item in value]
    if isinstance(value, dict):
        return {key: _shown(item, version) for key, item in value.items()}
    if not isinstance(value, msgspec.Struct) or (plan := _plan(type(value), version)) is None:
        return value
    found = {}
    for attribute, name, deeper in plan:
        item = getattr(value, attribute)
        if item is not msgspec.UNSET:
            found[name] = _shown(item, version) if deeper else item
    return found


def encode(body: Any, version: Version | None) -> bytes:
    """JSON of a Struct as clients of this version see it, or of plain data."""
    if version is None or not isinstance(body, msgspec.Struct):
        return msgspec.json.encode(body)
    return msgspec.json.encode(_shown(body, version))


def present(value: T | msgspec.UnsetType, default: T) -> T:
    """The value, or the default where the client left the field out."""
    return default if isinstance(value, msgspec.UnsetType) else value
