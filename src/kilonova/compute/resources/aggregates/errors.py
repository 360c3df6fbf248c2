"""Refusals that concern aggregates, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class AggregateNotFound(NotFound):
    template = "Aggregate {aggregate_id} could not be found."


class AggregateExists(Conflict):
    template = "Aggregate {name} already exists."


class AggregateHasHosts(BadRequest):
    template = "Host aggregate is not empty"


class AggregateHostExists(Conflict):
    template = "Aggregate {aggregate_id} already has host {host}."


class AggregateHostInOtherZone(Conflict):
    template = "Cannot add host to aggregate {aggregate_id}. Reason: One or more hosts already in availability zone(s) {zones}."


class ComputeHostNotFound(NotFound):
    template = "Compute host {host} could not be found."


class ZoneInUse(BadRequest):
    template = "Cannot update aggregate {aggregate_id}. Reason: One or more hosts contain instances in this zone."


class ZoneConflict(BadRequest):
    template = (
        "Cannot update aggregate {aggregate_id}. Reason: One or more hosts already in availability zone(s) {zones}."
    )


class HostWithServers(Conflict):
    template = (
        "Cannot add host to aggregate {aggregate_id}. Reason: One or more hosts contain instances in another zone."
    )


class HostStillUsed(Conflict):
    template = (
        "Cannot remove host from aggregate {aggregate_id}. Reason: One or more hosts contain instances in this zone."
    )


class HostNotInAggregate(NotFound):
    template = "Cannot remove host {host} in aggregate {aggregate_id}"
