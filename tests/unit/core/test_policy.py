"""Policy answers: from rules and facts, remembered without mixing anybody up."""

from __future__ import annotations

import importlib.util
import re
from itertools import product
from pathlib import Path

import pytest

from kilonova.core.context import RequestContext
from kilonova.core.policy import BASE_RULES, Policy
from kilonova.settings import DATABASES

RULES = {"toy:show": "rule:project_reader_or_admin", "toy:kind": "kind:%(kind)s", "toy:delete": "role:admin"}


def who(project: str = "p", *roles: str, user: str = "u") -> RequestContext:
    return RequestContext(request_id="req-1", user_id=user, project_id=project, roles=roles)


def test_answers_follow_caller_and_target() -> None:
    policy = Policy(RULES)
    for _ in range(3):  # the first is worked out, the others are remembered
        assert policy.allows(who("p", "reader"), "toy:show", {"project_id": "p"})
        assert not policy.allows(who("q", "reader"), "toy:show", {"project_id": "p"})
        assert not policy.allows(who("p"), "toy:show", {"project_id": "p"})
        assert policy.allows(who("q", "admin"), "toy:show", {"project_id": "p"})
        assert policy.allows(who("p", "reader"), "toy:show")
        assert not policy.allows(who("p", "reader"), "toy:delete", {"project_id": "p"})
        assert policy.allows(who("p", "admin"), "toy:delete", {"project_id": "p"})


def test_facts_that_cannot_be_remembered_are_worked_out() -> None:
    policy = Policy(RULES)
    for _ in range(2):
        assert policy.allows(who("p", "reader"), "toy:show", {"project_id": "p", "tags": ["a"]})
        assert not policy.allows(who("q", "reader"), "toy:show", {"project_id": "p", "tags": ["a"]})


def test_a_rule_that_asks_another_server_is_asked_each_time(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"toy:delete": "http://127.0.0.1:9/%(name)s"\n')
    assert Policy(RULES, file=file)._asks_others
    assert not Policy(RULES)._asks_others


def test_an_unknown_rule_is_a_mistake_of_ours() -> None:
    with pytest.raises(LookupError, match="no policy rule toy:typo"):
        Policy(RULES).allows(who(), "toy:typo")


ROLES = ((), ("reader",), ("member", "reader"), ("manager", "member", "reader"), ("service",))
SCOPES = ({}, {"project_id": ""}, {"domain_id": "d"}, {"system_scope": "all"}, {"user_id": "u"})
ATTRIBUTE = re.compile(r"%\(([^)]+)\)s")


@pytest.mark.parametrize("service", DATABASES)
def test_what_is_missing_equals_nothing(service: str) -> None:
    """A caller or an object without an attribute is treated as if the two had different ones: in every rule of every service,
    for every caller, with each attribute of the object missing in each of the ways that there are."""
    module = "policies" if importlib.util.find_spec(f"kilonova.{service}.policies") else "app"
    rules = importlib.import_module(f"kilonova.{service}.{module}").RULES
    policy = Policy(rules)
    text = " ".join((BASE_RULES | rules).values())
    attributes = sorted({*ATTRIBUTE.findall(text), "project_id", "tenant_id", "user_id", "domain_id"})
    others = {name: f"another's {name}" for name in attributes}
    checked = 0
    for roles, scope in product(ROLES, SCOPES):
        caller = RequestContext(request_id="req-1", roles=roles, **scope)  # type: ignore[arg-type]
        for rule in rules:
            right = policy.allows(caller, rule, others)
            ways = [{}, dict.fromkeys(attributes), dict.fromkeys(attributes, "")]
            for missing in ways if scope else [*ways, None]:
                assert policy.allows(caller, rule, missing) == right, (rule, roles, scope, missing)
                checked += 1
    assert checked >= 75 * len(rules)


def test_an_object_without_an_owner_belongs_to_no_caller() -> None:
    policy = Policy(RULES | {"toy:mine": "user_id:%(user_id)s", "toy:domain": "domain_id:%(domain_id)s"})
    unscoped = RequestContext(request_id="req-1", user_id="u", roles=("member", "reader"))
    for target in (None, {}, {"project_id": None}, {"project_id": ""}, {"project_id": "None"}):
        assert not policy.allows(unscoped, "toy:show", target)
        assert not policy.allows(unscoped, "toy:domain", target)
    assert policy.allows(unscoped, "toy:mine")
    assert not policy.allows(unscoped, "toy:mine", {"user_id": None})
    assert policy.allows(who("p", "reader"), "toy:show", {"project_id": "p", "user_id": None})
