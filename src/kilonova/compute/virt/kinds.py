"""Names of the Structs of tagged unions."""

from __future__ import annotations

from collections.abc import Iterable


def kind_of(kind: type) -> str:
    """The tag of a Struct of a union: file, bridge."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def kinds_of(kinds: Iterable[type]) -> str:
    """Their tags, to be read."""
    return ", ".join(sorted(map(kind_of, kinds)))
