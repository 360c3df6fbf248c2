"""What belongs to one resource, as a service's `app.py` takes it up: a line in its RESOURCES."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from kilonova.core.web.app import Route

D = TypeVar("D")


@dataclass(frozen=True)
class Resource(Generic[D]):
    """`routes` makes the routes from what the service's resources are made of; `rules` are the policy rules that these name,
    name → check."""

    routes: Callable[[D], list[Route]]
    rules: Mapping[str, str] = field(default_factory=dict)


class HasRules(Protocol):
    @property
    def rules(self) -> Mapping[str, str]: ...


def rules_of(resources: Iterable[HasRules]) -> dict[str, str]:
    """The policy rules of all of them. Raises ValueError when two say something different by one name."""
    found: dict[str, str] = {}
    for resource in resources:
        for name, rule in resource.rules.items():
            if found.setdefault(name, rule) != rule:
                raise ValueError(f"policy rule {name}: {found[name]!r} and {rule!r}")
    return found
