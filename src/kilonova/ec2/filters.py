"""`Filters` of Describe actions: a name with values, of which one must fit; `*` stands for any text, `?` for one character."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kilonova.core import patterns
from kilonova.ec2.errors import InvalidParameterValue

Item = dict[str, Any]
Values = Callable[[Item], Iterable[Any]]
"""What of an answer's item a filter looks at; None fits no value."""


def at(*path: str) -> Values:
    """What is at this path; a list in it stands for each of its parts."""

    def values(item: Item) -> Iterable[Any]:
        found: list[Any] = [item]
        for name in path:
            found = [each[name] for each in _flat(found) if each.get(name) is not None]
        return _flat(found)

    return values


def _flat(found: Iterable[Any]) -> list[Any]:
    return [part for each in found for part in (each if isinstance(each, list) else [each])]


TAGS: dict[str, Values] = {"tag-key": at("Tags", "Key"), "tag-value": at("Tags", "Value")}


def filtered(
    items: Sequence[Item], given: Sequence[Mapping[str, Any]] | None, known: Mapping[str, Values]
) -> list[Item]:
    """Those that fit all filters. Raises InvalidParameterValue for a filter that is not among the known ones."""
    kept = list(items)
    for each in given or ():
        name, fits = each.get("Name", ""), matcher(each.get("Values", []))
        values = _of_tag(name[4:]) if name.startswith("tag:") else known.get(name) or TAGS.get(name)
        if values is None:
            raise InvalidParameterValue(name="filter", value=name[:100], reason=f"The filter '{name[:100]}' is invalid")
        kept = [item for item in kept if any(fits(_text(value)) for value in values(item))]
    return kept


def _of_tag(key: str) -> Values:
    return lambda item: [tag["Value"] for tag in item.get("Tags", ()) if tag["Key"] == key]


def matcher(wanted: Sequence[str]) -> Callable[[str], bool]:
    """Does a text fit one of these? Each is matched in linear time. Raises InvalidParameterValue for one that is too long."""
    plain = {text for text in wanted if not set(text) & set("*?\\")}
    others = [_compiled(text) for text in wanted if text not in plain]
    return lambda text: text in plain or any(fits(text) for fits in others)


def _compiled(text: str) -> Callable[[str], bool]:
    parts, escaped = [], False
    for character in text:
        if escaped or character not in "*?\\":
            parts.append(re.escape(character))
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            parts.append(".*" if character == "*" else ".")
    pattern = f"^(?s:{''.join(parts)})$"
    try:
        patterns.check(pattern)
        return patterns.matcher(pattern)
    except patterns.UnusablePattern:
        raise InvalidParameterValue(name="filter", value=text[:100], reason="It is too long.") from None


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
