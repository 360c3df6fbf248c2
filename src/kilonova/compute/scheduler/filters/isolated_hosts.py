"""Hosts kept for certain images: options isolated_hosts, isolated_images, restrict_isolated_hosts_to_isolated_images."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class IsolatedHostsFilter(Filter):
    name = "IsolatedHostsFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(self.options.isolated_hosts or self.options.isolated_images)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        options, image = self.options, request.spec.image
        host_isolated = host.host in options.isolated_hosts
        image_isolated = image is not None and image.id in options.isolated_images
        if image_isolated and not host_isolated:
            return "the image may only run on isolated hosts"
        if host_isolated and not image_isolated and options.restrict_isolated_hosts_to_isolated_images:
            return "the host is kept for isolated images"
        return None
