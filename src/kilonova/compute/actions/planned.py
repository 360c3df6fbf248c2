"""Actions that upstream knows and this release does not have: answered with 501, after their policy."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.core.web.wire import Version

RULES = {
    "os-getRDPConsole": "os-remote-consoles",
    "os-getSPICEConsole": "os-remote-consoles", "os-getSerialConsole": "os-remote-consoles",
    "os-getVNCConsole": "os-remote-consoles", "os-migrateLive": "os-migrate-server:migrate_live",
}  # fmt: skip
"""Wire name → the rule that allows it."""
UNTIL = dict.fromkeys(
    ("os-getRDPConsole", "os-getSPICEConsole", "os-getSerialConsole", "os-getVNCConsole"), Version(2, 5)
)  # fmt: skip

ACTIONS = tuple(
    Action(
        name=wire, wire=wire, rule=f"{R}:{rule}", runs=Runs.NOWHERE, task_states=None, until=UNTIL.get(wire)
    )
    for wire, rule in RULES.items()
)  # fmt: skip
