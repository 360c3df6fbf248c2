"""The least loaded host: the one with the fewest vcpus in use, then the fewest servers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.weighing import Ranked


class SimpleDriver(Driver):
    name = "simple"

    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        least = sorted(candidates.passing(without), key=lambda host: (host.vcpus_used, host.stats.running_vms))
        return [Ranked(host, -float(host.vcpus_used), {"vcpus_used": -float(host.vcpus_used)}) for host in least]
