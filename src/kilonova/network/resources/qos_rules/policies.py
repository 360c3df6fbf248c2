"""Policy rules of QoS rules, with upstream's names. The project is the policy's: other projects that a policy is shared with see
its rules in the policy alone."""

from __future__ import annotations

from kilonova.core.policy import READER_OR_OWNER
from kilonova.network.resources.qos_policies.policies import MANAGER_OR_ADMIN

CHANGES = ("create", "update", "delete")
TYPE_RULES = {"get_rule_type": "role:reader or role:member or role:manager or rule:admin_required"}


def rules_of(noun: str) -> dict[str, str]:
    """Of the rules that policy calls `noun`: `policy_dscp_marking_rule`."""
    return {f"get_{noun}": READER_OR_OWNER} | {f"{action}_{noun}": MANAGER_OR_ADMIN for action in CHANGES}
