"""The code of the steps that a host does; `compute/steps.py` says which there are and where each one's class is."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache

from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.origins import origin_of
from kilonova.compute.agent.runner import OperationStep
from kilonova.compute.models import ServerBuild
from kilonova.compute.steps import Step


@cache
def load(steps: tuple[Step, ...]) -> Sequence[OperationStep]:
    """An object of each step's class."""
    return tuple(_load(step) for step in steps)


def _load(step: Step) -> OperationStep:
    module, _, name = step.code.partition(":")
    made: OperationStep = getattr(importlib.import_module(module), name)()
    made.step = step
    return made


def launch_steps(build: ServerBuild) -> Sequence[OperationStep]:
    """The steps that bring a server up on a host where it is new."""
    return load(origin_of(build).steps)


def action_steps(name: str) -> Sequence[OperationStep]:
    return load(ACTIONS[name].steps)
