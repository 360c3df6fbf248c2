"""Placement's refusals, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class ProviderNotFound(NotFound):
    template = "No resource provider with uuid {uuid} found"


class ProviderExists(Conflict):
    template = "Conflicting resource provider {field}: {value} already exists."


class ProviderInUse(Conflict):
    template = "Unable to delete resource provider {uuid}: Resource provider has allocations."


class ProviderIsParent(Conflict):
    template = "Unable to delete parent resource provider {uuid}: It has child resource providers."


class InvalidTree(BadRequest):
    template = "Unable to {verb} resource provider {uuid}: Object action {action} failed because: {reason}"


NO_PARENT = "parent provider UUID does not exist."


class GenerationConflict(Conflict):
    template = "resource provider generation conflict"


class ConsumerGenerationConflict(Conflict):
    template = "consumer generation conflict - expected {expected} but got {given}"


class InventoryInUse(Conflict):
    template = "Inventory for '{resource_class}' on resource provider '{uuid}' in use."


class InvalidInventory(BadRequest):
    template = "Invalid inventory for '{resource_class}' on resource provider '{uuid}'."


class CapacityExceeded(Conflict):
    template = "Unable to allocate inventory for resource provider {uuid}: {resource_class} does not fit."


class InvalidResourceClass(BadRequest):
    template = "No such resource class {name}."


class ConsumerNotFound(NotFound):
    template = "No allocations for consumer '{uuid}'"
