"""Resources of a service, put together."""

from __future__ import annotations

import pytest

from kilonova.core.web.resource import Resource, rules_of


def test_a_rule_has_one_meaning():
    def routes(_):
        return []

    toys, paints = Resource(routes, {"list": "@", "make": "role:admin"}), Resource(routes, {"list": "@"})
    assert rules_of([toys, paints]) == {"list": "@", "make": "role:admin"}
    with pytest.raises(ValueError, match="policy rule make: 'role:admin' and '@'"):
        rules_of([toys, Resource(routes, {"make": "@"})])
