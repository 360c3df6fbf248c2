"""The registry of server actions: every one is whole, and none takes what another has."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from kilonova.compute.actions.base import Action, Runs
from kilonova.compute.actions.registry import ACTIONS, ActionClash, Registry
from kilonova.compute.agent.steps import action_steps
from kilonova.compute.app import RULES
from kilonova.compute.states import Vm


@pytest.mark.parametrize("action", list(ACTIONS), ids=lambda action: action.name)
def test_an_action_is_whole(action: Action) -> None:
    assert action.rule in RULES
    if action.body is not None:
        msgspec.convert(action.example, action.body)
    if action.runs is Runs.HOST:
        assert action.task is not None or action.ends is None
        assert [step.step for step in action_steps(action.name)] == list(action.steps) != []
    if action.runs in (Runs.API, Runs.MOVE):
        assert action.handler is not None


@pytest.mark.parametrize("same", [{"name": "start"}, {"wire": "os-start"}, {"task": "powering-on"}])
def test_two_actions_that_claim_one_thing_are_refused(same: dict[str, str]) -> None:
    other = dataclasses.replace(
        Action(name="other", wire="other", rule="r", runs=Runs.HOST, task="othering", ends=Vm.ACTIVE),
        **same,  # type: ignore[arg-type]
    )
    with pytest.raises(ActionClash, match="both claim"):
        Registry([*ACTIONS, other])
