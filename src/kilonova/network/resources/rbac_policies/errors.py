"""Refusals of RBAC policies. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class RbacPolicyNotFound(errors.NotFound):
    template = "RBAC policy of type unknown with ID {id} not found"


class RbacPolicyInUse(errors.Conflict):
    template = (
        "RBAC policy on object {object_id} cannot be removed because other objects depend on it.\nDetails: {details}"
    )


class DuplicateRbacPolicy(errors.Conflict):
    template = "An RBAC policy already exists with those values."
