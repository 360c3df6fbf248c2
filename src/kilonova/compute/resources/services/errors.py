"""Refusals that concern services, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, NotFound


class ServiceNotFound(NotFound):
    template = "Service {service_id} not found."


class HostIsBusy(Conflict):
    template = "Unable to delete compute service that has in-progress migrations. Complete the migrations first."


class OnlyCompute(BadRequest):
    template = "Updating a {binary} service is not supported. Only nova-compute services can be updated."


class HostBinaryNotFound(NotFound):
    template = "Could not find binary {binary} on host {host}."


class HostHasServers(Conflict):
    template = "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."


class EvacuationsNotCompleted(BadRequest):
    template = (
        "Unable to force up host {host} as `done` evacuation migration records remain associated with the host. Ensure "
        "the compute service has been restarted, allowing these records to move to `completed` before retrying this request."
    )
