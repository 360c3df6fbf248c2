"""Any host that is up and where the server fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.weighing import Ranked


class ChanceDriver(Driver):
    name = "chance"

    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        ranked = [Ranked(host) for host in candidates.passing(without)]
        self.dice.shuffle(ranked)
        return ranked
