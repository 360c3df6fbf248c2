"""What a driver is: which filters run, and how the hosts that pass are ordered."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters import BUILT_IN, Filter, NamedHosts
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighing import Ranked

FITTING = ("AvailabilityZoneFilter", "ComputeFilter", "RamFilter", "CoreFilter", "DiskFilter")
"""The filters of drivers that only ask where a server fits."""


class Driver(ABC):
    name: ClassVar[str]

    def __init__(self, options: SchedulerOptions, dice: random.Random) -> None:
        self.options, self.dice = options, dice
        self.filters: list[Filter] = [NamedHosts(options), *self.load()]

    def load(self) -> list[Filter]:
        return [BUILT_IN[name](self.options) for name in FITTING]

    @abstractmethod
    def order(self, hosts: Sequence[HostState], request: FilterRequest, placed: Sequence[HostState]) -> list[Ranked]:
        """The hosts that passed, best first; `placed` are the hosts that servers of this request were given so far."""
