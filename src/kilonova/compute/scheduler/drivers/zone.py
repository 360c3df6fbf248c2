"""A random host of the zone that was asked for; of all zones where none was."""

from __future__ import annotations

from kilonova.compute.scheduler.drivers.chance import ChanceDriver


class ZoneDriver(ChanceDriver):
    name = "zone"  # the zone is a filter's matter, see FITTING
