"""Parts that an operator chooses by name: this package's own, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from kilonova.core.config import ConfigError

T = TypeVar("T")


class Registry(Generic[T]):
    """`setting` is where the name is written; `what` is the kind of part, as messages call it. Installed packages (entry points
    of the group `kilonova.GROUP`) are only read for a name that is not in `own`."""

    def __init__(self, setting: str, what: str, group: str, own: Mapping[str, T]) -> None:
        self._setting, self._what, self._group, self._own = setting, what, f"kilonova.{group}", own

    def __getitem__(self, name: str) -> T:
        """Raises ConfigError for an unknown name (its text lists the known ones), and for a package that can't be loaded."""
        if name in self._own:
            return self._own[name]
        installed = self._installed()
        if name not in installed:
            known = ", ".join([*self._own, *sorted(installed)])
            raise ConfigError(f"{self._setting}: there is no {self._what} {name!r}; there are: {known}")
        point = installed[name]
        try:
            made: T = point.load()
        except Exception as error:
            raise ConfigError(
                f"{self._setting}: {self._what} {name}: {point.value} can't be loaded: {error}"
            ) from error
        return made

    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self._group) if point.name not in self._own}
