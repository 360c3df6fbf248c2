"""A service's OpenAPI 3.1 document, made from its routes: `GET /<service>/openapi.json`.

Schemas are those of the shapes that routes declare. A field or route that some microversions lack has `x-openstack` with
`min-ver` and `max-ver`, a route's rule is its `x-openstack-policy`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import msgspec

from kilonova import __version__
from kilonova.core import errors
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import hints_of, members, microversions, range_of

if TYPE_CHECKING:
    from kilonova.core.web.app import Route, Web

Json = dict[str, Any]
PATH = "/openapi.json"
REF = "#/components/schemas/"
JSON, BYTES = "application/json", "application/octet-stream"
PARAMETER = re.compile(r"\{(\w+):\w+\}")
SHAPE = re.compile(r".*\.resources\.(\w+)\.(?:\w+\.)*(\w+)")
VERSION_SEGMENT = re.compile(r"v\d+(\.\d+)?")
ERRORS = (errors.BadRequest, errors.Unauthorized, errors.Forbidden, errors.NotFound, errors.Conflict)


def document(web: Web, routes: Sequence[Route]) -> Json:
    """The whole document, as plain data."""
    shapes = Shapes(routes)
    paths: dict[str, Json] = {}
    for route in sorted(routes, key=lambda route: (route.path, route.method)):
        paths.setdefault(template(route.path), {})[route.method.lower()] = _operation(web, route, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{web.name.capitalize()} API", "version": __version__, **_range(web.microversions)},
        "servers": [{"url": web.prefix}],
        "paths": paths,
        "components": {
            "schemas": shapes.components,
            "responses": {_error_name(kind): _error(web, kind) for kind in ERRORS},
            "parameters": {"microversion": _version_header(web.microversions)} if web.microversions else {},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def template(path: str) -> str:
    """`/servers/{server_id:str}` → `/servers/{server_id}`"""
    return PARAMETER.sub(r"{\1}", path)


# ---- operations


def _operation(web: Web, route: Route, shapes: Shapes) -> Json:
    names = PARAMETER.findall(route.path)
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    lowest = str(web.microversions.low) if web.microversions is not None else None
    parameters += [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            **microversions(since if since != lowest else None, None),
        }
        for name, since in sorted(route.query.items())
    ]
    if web.microversions is not None:
        parameters.append({"$ref": "#/components/parameters/microversion"})
    made: Json = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{template(route.path)}").strip("_"),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": parameters,
        "responses": _responses(route, shapes, has_ids=bool(names)),
        **microversions(route.since, route.until),
    }
    if route.body is not None:
        required = type(None) not in members(route.body)
        made["requestBody"] = {"required": required, "content": shapes.content(route.body)}
    if not route.public:
        made["security"] = [{"token": []}]
    if route.policy is not None:
        made["x-openstack-policy"] = route.policy
    return made


def _responses(route: Route, shapes: Shapes, *, has_ids: bool) -> Json:
    success: Json = {"description": HTTPStatus(route.status).phrase}
    if route.reply is not None:
        success["content"] = shapes.content(route.reply)
    possible = {
        errors.BadRequest: route.body is not None,
        errors.Unauthorized: not route.public,
        errors.Forbidden: not route.public,
        errors.NotFound: has_ids,
        errors.Conflict: route.method not in ("GET", "HEAD"),
    }
    refused = {
        str(kind.status): {"$ref": f"#/components/responses/{_error_name(kind)}"} for kind, it in possible.items() if it
    }
    return {str(route.status): success, **refused}


def _tag(path: str) -> str:
    """The noun of a path: its first segment that is no version."""
    return next((part for part in path.split("/") if part and not VERSION_SEGMENT.fullmatch(part)), "versions")


def _range(known: Microversions | None) -> Json:
    return microversions(str(known.low), str(known.high)) if known is not None else {}


def _version_header(known: Microversions) -> Json:
    return {
        "name": "OpenStack-API-Version",
        "in": "header",
        "description": f"Microversion: `{known.service_type} {known.low}` to `{known.service_type} {known.high}`, or latest.",
        "schema": {"type": "string"},
    }


# ---- errors


def _error_name(kind: type[errors.KilonovaError]) -> str:
    return f"Error{kind.status}"


def _error(web: Web, kind: type[errors.KilonovaError]) -> Json:
    """An error's reply in the service's own format; its schema is read off an example."""
    body, content_type = web.error_format(
        kind("What failed and why."), "req-00000000-0000-0000-0000-000000000000", JSON
    )
    example = msgspec.json.decode(body)
    content = {content_type: {"schema": _like(example), "example": example}}
    return {"description": HTTPStatus(kind.status).phrase, "content": content}


def _like(value: Any) -> Json:
    """A schema that the value fits."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {key: _like(item) for key, item in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": _like(value[0])}
    return {"type": "integer" if isinstance(value, int) else "string"}


# ---- shapes


class Shapes:
    """JSON schemas of all that routes declare. `components` by name; `names` of the Structs among them."""

    def __init__(self, routes: Iterable[Route]) -> None:
        kinds = [kind for route in routes for declared in (route.body, route.reply) for kind in members(declared)]
        self._structs: dict[type[msgspec.Struct], None] = {}
        for kind in kinds:
            self._collect(kind)
        found = [*self._structs, *(kind for kind in kinds if kind not in self._structs)]
        schemas, components = msgspec.json.schema_components(
            found, ref_template=REF + "{name}", schema_hook=lambda _kind: {}
        )
        renamed = _short_names(components)
        self._schemas = dict(zip(map(repr, found), (_portable(schema, renamed) for schema in schemas), strict=True))
        self.names = {kind: self._schemas[repr(kind)]["$ref"].removeprefix(REF) for kind in self._structs}
        self.components = {renamed.get(name, name): _portable(schema, renamed) for name, schema in components.items()}
        for kind, name in self.names.items():
            _finish(kind, self.components[name])

    def _collect(self, kind: Any) -> None:
        """The Structs in a type, and in their fields."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in self._structs:
                self._structs[kind] = None
                for hint in hints_of(kind).values():
                    self._collect(hint)
        else:
            for arg in get_args(kind):
                self._collect(arg)

    def content(self, declared: Any) -> Json:
        """By media type, what a body or reply of this declaration may be."""
        found: dict[str, list[Json]] = {}
        for kind in members(declared):
            if kind is not type(None):
                raw = kind is bytes or (get_origin(kind) is Annotated and get_args(kind)[0] is bytes)
                found.setdefault(media_of(kind), []).append({} if raw else self._schemas[repr(kind)])
        return {
            media: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
            for media, schemas in found.items()
        }


def media_of(kind: Any) -> str:
    """The media type of a body or reply: as annotated, else JSON, or bytes of any kind."""
    if get_origin(kind) is Annotated:
        for meta in kind.__metadata__:
            if isinstance(meta, msgspec.Meta) and meta.extra and "media" in meta.extra:
                return str(meta.extra["media"])
    return BYTES if kind is bytes else JSON


def _finish(kind: type[msgspec.Struct], schema: Json) -> None:
    """What msgspec does not know of a Struct: fields whose name on the wire depends on the microversion, and other fields."""
    properties, hints = schema.get("properties", {}), hints_of(kind)
    for field in msgspec.structs.fields(kind):
        window = range_of(hints[field.name])
        if window is not None and window.name is not None and window.name != field.encode_name:
            one = properties.pop(field.encode_name)
            other = properties.get(window.name)
            properties[window.name] = one if other is None else {"anyOf": [*other.get("anyOf", [other]), one]}
            required = schema.get("required", [])
            if field.encode_name in required:
                required.remove(field.encode_name)
    if getattr(kind, "other_fields", None) is not None:
        schema["additionalProperties"] = True


def _short_names(names: Collection[str]) -> dict[str, str]:
    """Shapes of the same name have their modules in msgspec's names: replace these by the resource's name."""
    found = {}
    for name in names:
        if match := SHAPE.fullmatch(name):
            found[name] = match[1].title().replace("_", "") + match[2]
    kept = [name for name in names if name not in found]
    return found if len({*found.values(), *kept}) == len(names) else {}


def _portable(schema: Any, renamed: dict[str, str]) -> Any:
    """Patterns without Python's `\\A` and `\\Z`, which other languages do not know; references by the short names."""
    if isinstance(schema, dict):
        return {key: _portable_text(key, item, renamed) for key, item in schema.items()}
    return [_portable(item, renamed) for item in schema] if isinstance(schema, list) else schema


def _portable_text(key: str, item: Any, renamed: dict[str, str]) -> Any:
    if key == "pattern" and isinstance(item, str):
        return item.replace(r"\A", "^").replace(r"\Z", "$")
    if key == "$ref":
        name = str(item).removeprefix(REF)
        return REF + renamed.get(name, name)
    return _portable(item, renamed)
