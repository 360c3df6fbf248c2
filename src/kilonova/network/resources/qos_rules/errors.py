"""Refusals of QoS rules. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class QosRuleNotFound(errors.NotFound):
    template = "QoS rule {id} for policy {policy_id} could not be found."


class QoSRulesConflict(errors.Conflict):
    template = "Rule {new_rule_type} conflicts with rule {rule_id} which already exists in QoS Policy {policy_id}."


class InvalidQosRuleType(errors.NotFound):
    template = "QoS rule type {type} could not be found."
