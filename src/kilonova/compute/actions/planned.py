"""Actions that upstream knows and this release does not have: answered with 501, after their policy."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs

RULES = {"os-migrateLive": "os-migrate-server:migrate_live"}
"""Wire name → the rule that allows it."""

ACTIONS = tuple(
    Action(name=wire, wire=wire, rule=f"{R}:{rule}", runs=Runs.NOWHERE, task_states=None)
    for wire, rule in RULES.items()
)
