"""A resource on the wire, declared: its names, its shapes, what lists may filter by, its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View, wrapped
from kilonova.network.resources.base.grants import HostAccess
from kilonova.network.resources.base.schemas import UnnamedView


class Link(View):
    """To the next page of a list, or the one before."""

    rel: str
    href: str


@dataclass(frozen=True)
class Parent:
    """What objects are below, as in `/v2.0/floatingips/ID/port_forwardings`: its name, and its path below `/v2.0/`."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """`name`, as in `{"network": {…}}`, `collection`, as in `{"networks": […]}`, and `path` below `/v2.0/` are upstream's. `view`
    is what is shown, `create` and `update` what clients send.

    Lists filter and sort by the view's plain attributes: text, numbers and booleans. `extra` are filters beside them, `addresses`
    attributes that hold one, with what reads it, `constant` attributes that never change, `derived` ones that can't be asked for,
    `unsorted` ones that lists filter but don't sort by.

    `rules` are the resource's policy rules, with upstream's names. An attribute with a rule `get_NAME:ATTRIBUTE` is hidden from
    callers that the rule refuses. `see_new` is the rule for callers that may know of what a new object is made on; for
    others it does not exist. `hosts` says what compute hosts see of the resource; nothing without. `parent` is what its objects
    are below; the rules' names begin with its name then.
    """

    name: str
    collection: str
    path: str
    view: type[msgspec.Struct]
    create: type[msgspec.Struct] | None = None
    update: type[msgspec.Struct] | None = None
    extra: Mapping[str, type] = field(default_factory=dict)
    addresses: Mapping[str, Callable[[str], object]] = field(default_factory=dict)
    constant: Mapping[str, Any] = field(default_factory=dict)
    derived: frozenset[str] = frozenset()
    unsorted: frozenset[str] = frozenset()
    rules: Mapping[str, str]
    see_new: str = "any_writer"
    hosts: HostAccess | None = None
    parent: Parent | None = None

    @property
    def rule_noun(self) -> str:
        """As rules name it: `network`, `floatingip_port_forwarding`."""
        return f"{self.parent.name}_{self.name}" if self.parent is not None else self.name

    @property
    def a_noun(self) -> str:
        """As sentences name one object of it: `a network`, `an agent`."""
        words = self.name.replace("_", " ")
        return f"an {words}" if words[0] in "aeio" else f"a {words}"

    @property
    def tagged(self) -> bool:
        return issubclass(self.view, UnnamedView)

    @cached_property
    def scalars(self) -> dict[str, tuple[str, type]]:
        """wire name → (field name, str | int | bool) of the view's plain attributes."""
        hints = get_type_hints(self.view, include_extras=True)
        found: dict[str, tuple[str, type]] = {}
        for one in msgspec.structs.fields(self.view):
            kinds = _plain(hints[one.name]) & {str, int, bool}
            if len(kinds) == 1:
                found[one.encode_name] = (one.name, kinds.pop())
        return found

    @cached_property
    def fields(self) -> dict[str, str]:
        """wire name → field name of the view's attributes."""
        return {one.encode_name: one.name for one in msgspec.structs.fields(self.view)}

    @cached_property
    def guarded(self) -> dict[str, tuple[str, str]]:
        """wire name → (field name, the rule that one must pass to see it)."""
        prefix = f"get_{self.rule_noun}:"
        named = {rule.removeprefix(prefix): rule for rule in self.rules if rule.startswith(prefix)}
        return {wire: (self.fields[wire], rule) for wire, rule in named.items()}

    @property
    def part(self) -> Any:
        """The view with those attributes alone that a client asked for by `fields`."""
        return _part(self.view)

    @cached_property
    def one(self) -> Any:
        """`{"network": {…}}`"""
        return wrapped(self.name, self.view)

    @cached_property
    def one_part(self) -> Any:
        return wrapped(self.name, self.part)

    @cached_property
    def many(self) -> Any:
        """`{"networks": […], "networks_links": […]}`"""
        return _pages(self.collection, self.view)

    @cached_property
    def many_parts(self) -> Any:
        return _pages(self.collection, self.part)


@cache
def _part(view: type[msgspec.Struct]) -> Any:
    """One for all resources with this view: documents know shapes by their names."""
    fields: list[Any] = [
        (one.name, Union[one.type, UnsetType], msgspec.field(default=UNSET, name=one.encode_name))  # noqa: UP007
        for one in msgspec.structs.fields(view)
    ]
    about = {"__doc__": f"Those attributes of {view.__name__} that the query parameter `fields` names."}
    return msgspec.defstruct(f"{view.__name__}Part", fields, bases=(View,), kw_only=True, namespace=about)


def _pages(name: str, kind: Any) -> Any:
    """The shape of a list in pages, with the fields `inner` and `links`."""
    fields: list[Any] = [
        ("inner", list_of(kind), msgspec.field(name=name)),
        ("links", list[Link] | UnsetType, msgspec.field(default=UNSET, name=f"{name}_links")),
    ]
    return msgspec.defstruct(f"{name}_{kind.__name__}", fields, bases=(View,), kw_only=True)


def list_of(kind: Any) -> Any:
    """`list[kind]`, of a type that is known when the program runs."""
    return list[kind]


def _plain(kind: Any) -> set[Any]:
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return {k for arg in get_args(kind) for k in _plain(arg)}
    return {kind}
