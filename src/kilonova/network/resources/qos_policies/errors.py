"""Refusals of QoS policies. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class QosPolicyNotFound(errors.NotFound):
    template = "QoS policy {id} could not be found."


class QosPolicyInUse(errors.Conflict):
    template = "QoS Policy {id} is used by {object_type} {object_id}."


class QoSPolicyDefaultAlreadyExists(errors.Conflict):
    template = "A default QoS policy exists for project {project_id}."


class PolicyRemoveAuthorizationError(errors.Forbidden):
    template = "Failed to remove provided policy {id} because you are not authorized."
