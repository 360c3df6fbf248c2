"""Policy answers: from rules and facts, remembered without mixing anybody up."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.core.context import RequestContext
from kilonova.core.policy import Policy

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
