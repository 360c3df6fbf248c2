"""Policy rules of role assignments."""

from __future__ import annotations

from kilonova.identity.web.checks import ADMIN, READER

CHECKS = {"list": READER, "check": READER, "create": ADMIN, "revoke": ADMIN}


def grant_rule(verb: str, target: str, actor: str) -> str:
    """The name of the rule for grants to an actor (user or group) on a target (project, domain or system)."""
    several = "s" if verb == "list" else ""
    return (
        f"identity:{verb}_system_grant{several}_for_{actor}"
        if target == "system"
        else f"identity:{verb}_grant{several}"
    )


RULES = {"identity:list_role_assignments": READER} | {
    grant_rule(verb, target, actor): check
    for verb, check in CHECKS.items()
    for target in ("project", "system")
    for actor in ("user", "group")
}
