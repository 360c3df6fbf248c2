"""Authorization: oslo.policy with upstream's rule names, so that operators' policy files keep working."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from oslo_config import cfg
from oslo_policy import _checks
from oslo_policy import policy as oslo

from kilonova.core import errors
from kilonova.core.context import RequestContext

ADMIN = "role:admin"
READER_OR_OWNER = "rule:project_reader_or_admin"
MEMBER_OR_OWNER = "rule:project_member_or_admin"
ANYONE = "@"
BASE_RULES = {
    "admin_required": ADMIN,
    "context_is_admin": ADMIN,
    "service_api": "role:admin or (role:service and granted:True)",  # see core/grants.py
    "owner": "project_id:%(project_id)s",
    # reader ⊂ member ⊂ manager ⊂ admin, as upstream implies them
    "project_reader": "(role:reader or role:member or role:manager) and rule:owner",
    "project_member": "(role:member or role:manager) and rule:owner",
    "project_reader_or_admin": "rule:project_reader or rule:admin_required",
    "project_member_or_admin": "rule:project_member or rule:admin_required",
}


REMOTE = ("http:", "https:")  # checks that ask another server
REMEMBERED = 8192  # answers


@contextmanager
def _own_checks() -> Iterator[None]:
    """Our own rules need no plugins. oslo.policy loads them at the first rule it reads, and with them `requests`: 5 MB and a
    sixth of a second. Operators' files find them as ever."""
    known, _checks.extension_checks = _checks.extension_checks, {}
    try:
        yield
    finally:
        _checks.extension_checks = known


class Policy:
    """A service's rules: `defaults` maps rule names to oslo.policy expressions; a `policy.yaml` overrides them.

    An attribute that the caller or the object does not have matches nothing: oslo.policy compares texts, and would find that
    a token without a project owns whatever has none ("None" == "None").

    With `project_scope` all rules are for tokens of a project, as compute's are upstream: one of a domain, of the system or
    without any scope may nothing, whatever its roles.

    Rules do not change while a process runs, so an answer is cached by all that it depends on; not where a rule asks
    another server."""

    def __init__(self, defaults: dict[str, str], *, file: Path | None = None, project_scope: bool = False) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        with _own_checks():
            rules = oslo.Rules.from_dict(BASE_RULES | defaults)
        if file is not None:
            rules.update(oslo.Rules.load(file.read_text()))
        self._enforcer = oslo.Enforcer(conf, rules=rules, use_conf=False)
        self.names, self._project_scope = frozenset(defaults), project_scope
        self._answers: LRUCache[Any, bool] = LRUCache(REMEMBERED)
        self._asks_others = any(str(check).find(scheme) >= 0 for check in rules.values() for scheme in REMOTE)

    def allows(self, ctx: RequestContext, rule: str, target: dict[str, Any] | None = None) -> bool:
        """`target` describes the object; without one the caller's own project and user are meant."""
        if rule not in self.names and rule not in BASE_RULES:
            raise LookupError(f"no policy rule {rule}")
        if self._project_scope and not ctx.project_id:
            return False
        if target is None:
            target = {
                "project_id": ctx.project_id,
                "tenant_id": ctx.project_id,
                "user_id": ctx.user_id,
                "domain_id": ctx.domain_id,
            }
        facts = _present(target)
        key = None if self._asks_others else _question(ctx, rule, facts)
        known = self._answers.get(key) if key is not None else None
        if known is not None:
            return known
        answer = bool(self._enforcer.enforce(rule, facts, _present(ctx.credentials())))
        if key is not None:
            self._answers[key] = answer
        return answer

    def enforce(self, ctx: RequestContext, rule: str, target: dict[str, Any] | None = None) -> None:
        """Raises Forbidden with the rule's name, as upstream words it."""
        if not self.allows(ctx, rule, target):
            raise PolicyNotAuthorized(action=rule)


def _present(attributes: dict[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in attributes.items() if value is not None and value != ""}


def _question(ctx: RequestContext, rule: str, facts: dict[str, Any]) -> tuple[Any, ...] | None:
    """All that the answer depends on; None where the facts can't be a key."""
    key = (
        rule, ctx.user_id, ctx.project_id, ctx.domain_id, ctx.user_domain_id, ctx.project_domain_id, ctx.system_scope,
        ctx.roles, ctx.is_service, ctx.grant is not None, *facts.items(), *map(type, facts.values()),  # True is not 1 to a rule
    )  # fmt: skip
    try:
        hash(key)
    except TypeError:
        return None
    return key


class PolicyNotAuthorized(errors.Forbidden):
    template = "Policy doesn't allow {action} to be performed."
