"""Servers of one request go to different zones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.weighers.base import PlacedWeigher


class ZoneSpreadWeigher(PlacedWeigher):
    name = "ZoneSpreadWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.zone_spread_weight_multiplier

    def after(self, placed: Sequence[HostState], hosts: Sequence[HostState]) -> list[float]:
        held = Counter(host.availability_zone for host in placed)
        return [-held[host.availability_zone] for host in hosts]
