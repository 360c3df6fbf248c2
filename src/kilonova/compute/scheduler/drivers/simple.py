"""The least loaded host: the one with the fewest vcpus in use, then the fewest servers."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighing import Ranked


class SimpleDriver(Driver):
    name = "simple"

    def order(self, hosts: Sequence[HostState], request: FilterRequest, placed: Sequence[HostState]) -> list[Ranked]:
        least = sorted(hosts, key=lambda host: (host.vcpus_used, host.stats.running_vms))
        return [Ranked(host, -float(host.vcpus_used), {"vcpus_used": -float(host.vcpus_used)}) for host in least]
