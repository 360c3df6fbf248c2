"""What a weigher is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.request import FilterRequest


class Weigher(ABC):
    """Prefers some hosts: what `weigh` gives is stretched to 0..1 over the hosts and multiplied by `multiplier`."""

    name: ClassVar[str]

    def __init__(self, options: SchedulerOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def multiplier(self) -> float:
        """From the options; negative turns the preference round, 0 switches it off."""

    def applies(self, request: FilterRequest) -> bool:
        """False: all hosts weigh the same, so the weigher need not run."""
        return True

    @abstractmethod
    def weigh(self, host: HostState, request: FilterRequest) -> float:
        """More is better."""

    def weights(self, hosts: Sequence[HostState], request: FilterRequest) -> list[float]:
        """Of each host. A weigher that only reads a value says it in one expression, as there may be thousands."""
        weigh = self.weigh
        return [weigh(host, request) for host in hosts]


class PlacedWeigher(Weigher):
    """Looks at where the other servers of the request went, so it is asked anew for each server, by the driver `filter`."""

    def applies(self, request: FilterRequest) -> bool:
        return False

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return 0.0

    @abstractmethod
    def after(self, placed: Sequence[HostState], hosts: Sequence[HostState]) -> list[float]:
        """Of each host, once servers of the request went to `placed` (a host may be there several times)."""
