"""Parts that an operator chooses by name: this package's own, and those of installed packages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, distributions
from typing import Generic, TypeVar

from kilonova.core.config import ConfigError

T = TypeVar("T")
PREFIX = "kilonova."


class Registry(Generic[T]):
    """`setting` is where the name is written; `what` is the kind of part, as messages call it. Installed packages (entry points
    of the group `kilonova.GROUP`) are only asked for a name that is not in `own`. With a `base`, the parts are its subclasses."""

    def __init__(self, setting: str, what: str, group: str, own: Mapping[str, T], base: type | None = None) -> None:
        self._setting, self._what, self._group, self._own, self._base = setting, what, group, own, base

    def __getitem__(self, name: str) -> T:
        """Raises ConfigError for an unknown name (its text lists the known ones), and for a package that can't be loaded."""
        if name in self._own:
            return self._own[name]
        found = installed(self._group)
        if name not in found:
            known = ", ".join([*self._own, *sorted(found.keys() - self._own.keys())])
            raise ConfigError(f"{self._setting}: there is no {self._what} {name!r}; there are: {known}")
        return self._load(found[name])

    def _load(self, point: EntryPoint) -> T:
        place = f"{self._setting}: {self._what} {point.name}: {point.value}"
        try:
            made: T = point.load()
        except Exception as error:
            raise ConfigError(f"{place} can't be loaded: {error}") from error
        if self._base is not None and not (isinstance(made, type) and issubclass(made, self._base)):
            raise ConfigError(f"{place} is no {self._base.__name__}")
        return made


def installed(group: str) -> Mapping[str, EntryPoint]:
    """What installed packages bring as entry points of the group `kilonova.GROUP`, by name."""
    return _points().get(PREFIX + group, {})


@cache
def _points() -> Mapping[str, Mapping[str, EntryPoint]]:
    """All entry points of our groups, by group and name: read once, as this looks into every installed package. Of two of one
    name the first on the path counts, as for modules."""
    found: defaultdict[str, dict[str, EntryPoint]] = defaultdict(dict)
    for package in distributions():
        for point in package.entry_points:
            if point.group.startswith(PREFIX):
                found[point.group].setdefault(point.name, point)
    return {group: dict(sorted(points.items())) for group, points in found.items()}
