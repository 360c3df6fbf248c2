"""Any host that is up and where the server fits."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighing import Ranked


class ChanceDriver(Driver):
    name = "chance"

    def order(self, hosts: Sequence[HostState], request: FilterRequest, placed: Sequence[HostState]) -> list[Ranked]:
        ranked = [Ranked(host) for host in hosts]
        self.dice.shuffle(ranked)
        return ranked
