"""What a filter is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.request import FilterRequest

DOWN = "service is down"
"""What is seen of a host that has not reported for too long; the conductor knows it by these words."""


class Filter(ABC):
    """Says which hosts may take a server. Pure: the same host and request give the same answer, nothing is changed, and
    hostile hints or extra specs refuse hosts instead of raising."""

    name: ClassVar[str]

    def __init__(self, options: SchedulerOptions) -> None:
        self.options = options

    def applies(self, request: FilterRequest) -> bool:
        """False: no host would be refused, so the filter need not run at all."""
        return True

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        """Those that pass, in their order. A filter of every launch says it in one expression, as there may be thousands."""
        passes = self.passes
        return [host for host in hosts if passes(host, request) is None]

    @abstractmethod
    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        """None when the host may take the server, else what was seen there, for the reasons."""
