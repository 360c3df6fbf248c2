"""The page of a service's HTTP API: its routes, and the fields of the shapes that they take and answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.web.app import Route
from kilonova.core.web.openapi import PATH, Shapes, template
from tools.conformance_results import table


def http(name: str, routes: Sequence[Route], *, documented: bool) -> list[str]:
    """The parts of the page; `documented` services answer with an OpenAPI document too."""
    shapes = Shapes(routes)
    rows = [
        (f"`{route.method}`", f"`{template(route.path)}`", route.summary,
         _declared(route.body, shapes), _declared(route.reply, shapes), window(route.since, route.until),
         f"`{route.policy}`" if route.policy else "none: public")
        for route in sorted(routes, key=lambda route: (template(route.path), route.method))
    ]  # fmt: skip
    parts = [
        f"Paths are below `/{name}`. Its rule decides which callers may use a route: see [policies](policies.md). "
        + (f"The same as an OpenAPI document: `GET /{name}{PATH}`." if documented else ""),
        table(("method", "path", "what it does", "body", "reply", "microversions", "rule"), rows),
        "## Shapes" if shapes.components else "",
    ]
    for title, schema in sorted(shapes.components.items()):
        parts += _fields(title, schema)
    return parts


def _fields(title: str, schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    rows = [
        (f"`{field}`", _shape(part), "yes" if field in required else "", _window(part))
        for field, part in schema.get("properties", {}).items()
    ]
    return [
        f"### {title}",
        schema.get("description", ""),
        table(("field", "type", "required", "microversions"), rows) if rows else "",
        "Other fields are allowed." if schema.get("additionalProperties") is True else "",
    ]


def _declared(declared: Any, shapes: Shapes) -> str:
    """In words: shapes, or the media type of what has none."""
    content = shapes.content(declared).items()
    return " or ".join(_shape(part["schema"]) if part["schema"] else f"`{media}`" for media, part in content)


def _shape(schema: Any) -> str:
    """A JSON schema in words, with links to the shapes of the page."""
    if "$ref" in schema:
        title = schema["$ref"].rpartition("/")[2]
        return f"[{title}](#{title.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_shape(part) for part in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array" and schema.get("items"):
        return f"list of {_shape(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_shape(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))


def _window(schema: Any) -> str:
    """The microversions of a field, of each of its types where they differ."""
    parts = [schema] if "x-openstack" in schema or "anyOf" not in schema else schema["anyOf"]
    known = [part.get("x-openstack", {}) for part in parts]
    return ", ".join(filter(None, (window(one.get("min-ver"), one.get("max-ver")) for one in known)))


def window(low: object, high: object) -> str:
    """Microversions, both ends included, as tables show them; None: no limit."""
    return f"{low or 'first'} to {high}" if high else f"since {low}" if low else ""
