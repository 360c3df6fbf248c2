"""Refusals of default security group rules. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core.errors import Conflict, NotFound


class DefaultSecurityGroupRuleNotFound(NotFound):
    template = "Default Security Group rule {id} does not exist"


class DefaultSecurityGroupRuleExists(Conflict):
    template = "Default Security group rule already exists. Rule id is {rule_id}."


class DuplicateDefaultSgRuleInPost(Conflict):
    template = "Duplicate Default Security Group Rule in POST."
