"""What all resources do alike over HTTP: read filters and bodies, check policy, hide attributes, page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET

from kilonova.core.errors import KilonovaError
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import few
from kilonova.core.web.validation_errors import Violation, violation_of
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts.grants import covers, narrow
from kilonova.network.policies import RULES
from kilonova.network.resources.base.logic import Deps, Facts, Guard
from kilonova.network.resources.base.schemas import Filters, Resource

T = TypeVar("T", bound=msgspec.Struct)
PAGING = {"fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"}
TAG_FILTERS = {"tags", "tags-any", "not-tags", "not-tags-any"}
YES, NO = {"true", "1", "yes", "on", "t", "y"}, {"false", "0", "no", "off", "f", "n"}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A resource on the wire. `extra` are filters that are no plain attribute, `addresses` attributes that hold one, with
    what reads it, `constant` attributes that never change, `derived` ones that can't be asked for."""

    resource: str
    collection: str
    path: str
    view: Any
    extra: frozenset[str] = frozenset()
    addresses: Mapping[str, Callable[[str], object]] = {}
    constant: Mapping[str, Any] = {}
    derived: frozenset[str] = frozenset()


@lru_cache
def scalars(view: Any) -> dict[str, tuple[str, type]]:
    """wire name → (field name, str | int | bool) of a view's plain attributes."""
    hints = get_type_hints(view, include_extras=True)
    found: dict[str, tuple[str, type]] = {}
    for field in msgspec.structs.fields(view):
        kinds = _plain(hints[field.name]) & {str, int, bool}
        if len(kinds) == 1:
            found[field.encode_name] = (field.name, kinds.pop())
    return found


def _plain(kind: Any) -> set[Any]:
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return {k for arg in get_args(kind) for k in _plain(arg)}
    return {kind}


def hidden(call: Call, shape: Shape) -> set[str]:
    """Wire names of attributes this caller may not see."""
    prefix = f"get_{shape.resource}:"
    return {rule.removeprefix(prefix) for rule in RULES if rule.startswith(prefix) and not call.allowed(rule)}


def scope(call: Call) -> str | None:
    """The project whose objects a list shows; None for all of them."""
    if not call.ctx.is_host and call.allowed("service_api"):
        return None
    return call.ctx.project_id or ""


def read_filters(call: Call, shape: Shape) -> tuple[Filters, bool]:
    """(what the client wants, whether anything can match at all). Raises a 400 that names the parameter."""
    secret = hidden(call, shape)
    known = {n: v for n, v in scalars(shape.view).items() if n not in shape.derived and n not in secret}
    given: dict[str, list[str]] = {}
    for key, value in call.query.multi_items():
        given.setdefault(key, []).append(value)
    filters: dict[str, list[Any]] = {}
    possible = True
    for key, values in given.items():
        if key in PAGING:
            continue
        if key in TAG_FILTERS and issubclass(shape.view, Resource):
            filters[key] = list(few(key, [tag for value in values for tag in value.split(",")]))
        elif key in shape.extra:
            filters[key] = values
        elif key in known:
            name, kind = known[key]
            read = shape.addresses.get(key)
            converted = [_read_address(key, v, read) if read else _convert(key, v, kind) for v in values]
            if key in shape.constant:
                possible = possible and shape.constant[key] in converted
            else:
                filters[name] = converted
        else:
            if key in secret:
                call.authorize({}, f"get_{shape.resource}:{key}")
            raise errors.HTTPBadRequest(reason=f"['{key}'] is invalid attribute for filtering")
    return Filters(
        filters=filters,
        sorts=_sorts(given, known, shape),
        limit=_limit(given.get("limit")),
        marker=(given.get("marker") or [""])[0] or None,
        page_reverse=(given.get("page_reverse") or [""])[0].lower() in YES,
        fields=frozenset(f for f in given.get("fields", []) if f),
    ), possible


def _read_address(key: str, value: str, read: Callable[[str], object]) -> str:
    """As it is stored; "" matches what has none."""
    try:
        return str(read(value)) if value else ""
    except ValueError as error:
        raise errors.HTTPBadRequest(reason=f"Invalid input for {key}. Reason: {error}.") from None


def _convert(key: str, value: str, kind: type) -> Any:
    if kind is bool:
        if value.lower() in YES | NO:
            return value.lower() in YES
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for {key}. Reason: '{value}' cannot be converted to boolean."
        )
    if kind is int:
        if re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        raise errors.HTTPBadRequest(reason=f"Invalid input for {key}. Reason: '{value}' is not an integer.")
    return value


def _limit(values: list[str] | None) -> int | None:
    if not values or values[0] == "":
        return None
    text = values[0]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise errors.HTTPBadRequest(reason=f"Limit must be an integer 0 or greater and not '{text}'")
    return int(text) or None


def _sorts(given: dict[str, list[str]], known: Mapping[str, Any], shape: Shape) -> tuple[tuple[str, bool], ...]:
    keys, directions = given.get("sort_key", []), given.get("sort_dir", [])
    if directions and len(keys) != len(directions):
        raise errors.HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    absent = [key for key in keys if key not in known or key in shape.constant]
    if absent:
        raise errors.HTTPBadRequest(reason=f"{absent} is invalid attribute for sort_keys")
    wrong = [word for word in directions if word not in ("asc", "desc")]
    if wrong:
        raise errors.HTTPBadRequest(reason=f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    sorts: dict[str, bool] = {}  # the first of equal keys counts
    for n, key in enumerate(keys):
        sorts.setdefault(known[key][0], bool(directions) and directions[n] == "desc")
    return tuple(sorts.items())


def show(call: Call, shape: Shape, item: Any, fields: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An object as this caller may see it."""
    return _shown([item], hidden(call, shape), fields)[0]


def _shown(items: Sequence[Any], without: set[str], fields: frozenset[str]) -> list[dict[str, Any]]:
    found = []
    for item in items:
        data: dict[str, Any] = msgspec.to_builtins(item)
        for name in without:
            data.pop(name, None)
        found.append({k: v for k, v in data.items() if k in fields} if fields else data)
    return found


def listed(call: Call, shape: Shape, items: Sequence[Any], filters: Filters) -> Reply:
    body: dict[str, Any] = {shape.collection: _shown(items, hidden(call, shape), filters.fields)}
    links = _links(call, shape, items, filters)
    if links:
        body[f"{shape.collection}_links"] = links
    return Reply(body)


def _links(call: Call, shape: Shape, items: Sequence[Any], filters: Filters) -> list[dict[str, str]]:
    if filters.limit is None or not items:
        return []
    kept = [(k, v) for k, v in call.query.multi_items() if k not in ("marker", "page_reverse")]
    url = f"{call.base_url}/v2.0/{shape.path}?"
    full = len(items) == filters.limit
    links = []
    if full if not filters.page_reverse else filters.marker is not None:
        links.append({"rel": "next", "href": url + urlencode([*kept, ("marker", items[-1].id)])})
    if filters.marker is not None if not filters.page_reverse else full:
        links.append(
            {"rel": "previous", "href": url + urlencode([*kept, ("marker", items[0].id), ("page_reverse", "True")])}
        )
    return links


async def read_one(call: Call, shape: Shape, kind: type[T]) -> T:
    """`{"network": {…}}`"""
    return _decode(shape, (await _envelope(call, shape.resource))[shape.resource], kind)


async def read_many(call: Call, shape: Shape, kind: type[T], most: int) -> tuple[list[T], bool]:
    """`{"network": {…}}` or `{"networks": [{…}, …]}` with at most so many, and whether it was the second."""
    envelope = await _envelope(call, shape.resource, shape.collection)
    if shape.resource in envelope:
        return [_decode(shape, envelope[shape.resource], kind)], False
    try:
        parts = msgspec.json.decode(envelope[shape.collection], type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        raise errors.HTTPBadRequest(reason="Body contains invalid data") from None
    if not parts:
        raise errors.HTTPBadRequest(reason="Resources required")
    if len(parts) > most:
        reason = f"One request can create at most {most} {shape.collection}, not {len(parts)}"
        raise errors.HTTPBadRequest(reason=reason)
    return [_decode(shape, part, kind) async for part in yielding(parts)], True


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


def _decode(shape: Shape, raw: msgspec.Raw, kind: type[T]) -> T:
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
    return f"Invalid input for {found.where or shape.resource}. Reason: it {found.what}."


def guard(
    call: Call, action: str, shape: Shape, body: msgspec.Struct | None = None, *, see: str | None = None
) -> Guard:
    """Refuses callers that may not see the object (or, for a new one, what it is made on: rule `see`), may not do `action` with
    it, or may not set one of the attributes that `body` sets."""
    base = f"{action}_{shape.resource}"
    wanted = [base, *(f"{base}:{name}" for name in (_set_in(body) if body is not None else []))]
    rules = [rule for rule in wanted if rule in RULES]

    def check(target: Facts, unseen: KilonovaError) -> None:
        held = target.pop("object", None)
        if call.ctx.is_host and not covers(call.ctx.grant, action, shape.resource, held, body):
            raise unseen
        if not call.allowed(see or f"get_{shape.resource}", target):
            raise unseen
        for rule in rules:
            call.authorize(target, rule)

    return check


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


def _set_in(body: msgspec.Struct) -> list[str]:
    """Wire names of what a body says other than the default."""
    found = []
    for field in _fields(type(body)):
        value = getattr(body, field.name)
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if value is not UNSET and value != default:
            found.append(field.encode_name)
            if field.name == "fixed_ips" and any(item.ip_address is not None for item in value or []):
                found.append("fixed_ips:ip_address")
    return found


class Reading(Protocol):
    """Logic that lists and shows."""

    deps: Deps

    async def list(self, filters: Filters, project_id: str | None, /) -> Sequence[Any]: ...
    async def get(self, resource_id: str, guard: Guard, /) -> Any: ...


L = TypeVar("L", bound=Reading)


class Readable(Generic[L]):
    """List and show, the same for networks, subnets, ports and security groups."""

    shape: Shape

    def __init__(self, logic: L) -> None:
        self.logic = logic

    async def _read_many(self, call: Call, kind: type[T], shape: Shape | None = None) -> tuple[list[T], bool]:
        return await read_many(call, shape or self.shape, kind, self.logic.deps.options.max_bulk)

    async def list(self, call: Call) -> Reply:
        filters, possible = read_filters(call, self.shape)
        if call.ctx.is_host:
            possible = narrow(call.ctx, self.shape.resource, filters) and possible
        project = None if call.ctx.is_host else scope(call)
        items = await self.logic.list(filters, project) if possible else []
        return listed(call, self.shape, items, filters)

    async def show(self, call: Call, id: str) -> Reply:
        item = await self.logic.get(id, guard(call, "get", self.shape))
        fields = frozenset(call.query.getall("fields", []))
        return self._one(call, item, fields)

    def _one(self, call: Call, item: Any, fields: frozenset[str] = frozenset()) -> Reply:
        return Reply({self.shape.resource: show(call, self.shape, item, fields)})

    async def _created(self, call: Call, items: Sequence[Any], bulk: bool) -> Reply:
        secret = hidden(call, self.shape)
        shown = [_shown([item], secret, frozenset())[0] async for item in yielding(items)]
        return Reply({self.shape.collection: shown} if bulk else {self.shape.resource: shown[0]})
