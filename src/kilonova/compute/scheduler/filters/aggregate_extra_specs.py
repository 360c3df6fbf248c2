"""Extra specs against the metadata of the host's aggregates; keys with scope aggregate_instance_extra_specs or without one."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.core.operators import matches

SCOPE = "aggregate_instance_extra_specs"


class AggregateInstanceExtraSpecsFilter(Filter):
    name = "AggregateInstanceExtraSpecsFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.extra_specs)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        for key, wanted in request.extra_specs.items():
            scope, colon, rest = key.partition(":")
            if colon and scope != SCOPE:
                continue
            name = rest if colon else key
            held = [part.strip() for metadata in host.aggregates for part in metadata.get(name, "").split(",") if part]
            if wanted == "!":  # upstream's sign for: no aggregate may have the key
                if held:
                    return f"an aggregate has {name}"
            elif not any(matches(value, wanted) for value in held):
                return f"no aggregate has {name} {wanted[:60]}"
        return None
