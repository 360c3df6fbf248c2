"""What a driver is: which filters run, and how the hosts that pass are ordered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import ClassVar

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.filters import BUILT_IN, Filter, ForcedHost, NamedHosts
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers import Weigher
from kilonova.compute.scheduler.weighing import Ranked
from kilonova.core.clock import Dice

FITTING = ("AvailabilityZoneFilter", "ComputeFilter", "RamFilter", "CoreFilter", "DiskFilter")
"""The filters of drivers that only ask where a server fits."""


class Driver(ABC):
    name: ClassVar[str]
    weighers: Sequence[Weigher] = ()

    def __init__(self, options: SchedulerOptions, dice: Dice) -> None:
        self.options, self.dice = options, dice
        self._forced, self._filters = ForcedHost(options), [NamedHosts(options), *self.load()]

    def filters_for(self, request: FilterRequest) -> list[Filter]:
        """Those that may refuse a host, in their order. A forced host meets no others."""
        return [self._forced] if self._forced.applies(request) else [f for f in self._filters if f.applies(request)]

    def load(self) -> list[Filter]:
        return [BUILT_IN[name](self.options) for name in FITTING]

    @abstractmethod
    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        """The hosts that pass, best first, but those of the names `without`; `placed` are the hosts that servers of this request
        were given so far."""
