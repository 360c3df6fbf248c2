"""Every server action: those of this package's modules, and those of installed packages (entry points of the group
`kilonova.server_actions`, each an `Action` or several)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

from kilonova.compute.actions.base import Action, Runs
from kilonova.compute.steps import Step
from kilonova.core.registry import installed


class ActionClash(Exception):
    """Two actions claim the same thing."""


class Registry:
    """Raises ActionClash where two actions share a name, a wire name, or the task_state that they begin with, by which recovery
    knows them."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self._by_name: dict[str, Action] = {}
        self._by_wire: dict[str, Action] = {}
        self._by_task: dict[str, Action] = {}
        self._passing: dict[str, list[Action]] = {}
        for action in actions:
            _claim(self._by_name, action.name, action)
            if action.wire is not None:
                _claim(self._by_wire, action.wire, action)
            if action.runs is Runs.HOST and action.task is not None:
                _claim(self._by_task, action.task, action)
                for task in action.shows.values():
                    self._passing.setdefault(task, []).append(action)
        self.steps: dict[str, Step] = {step.name: step for action in self for step in action.steps}

    def __iter__(self) -> Iterator[Action]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Action:
        return self._by_name[name]

    def get(self, name: str) -> Action | None:
        return self._by_name.get(name)

    def by_wire(self, wire: str) -> Action | None:
        return self._by_wire.get(wire)

    def by_task(self, task_state: str | None, recorded: str = "") -> Action | None:
        """What a host was doing to a server that shows this task_state. Where several actions show it, the one of this name in
        the server's history."""
        if task_state is None or task_state in self._by_task:
            return self._by_task.get(task_state or "")
        return next((action for action in self._passing.get(task_state, ()) if action.shown == recorded), None)


def _claim(table: dict[str, Action], key: str, action: Action) -> None:
    other = table.setdefault(key, action)
    if other is not action:
        raise ActionClash(f"server actions {other.name} and {action.name} both claim {key}")


def _found() -> Iterator[Action]:
    package = importlib.import_module("kilonova.compute.actions")
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        if module.name not in ("base", "registry"):
            yield from importlib.import_module(f"{package.__name__}.{module.name}").ACTIONS
    for point in installed("server_actions").values():
        loaded = point.load()
        yield from [loaded] if isinstance(loaded, Action) else loaded


ACTIONS = Registry(_found())
