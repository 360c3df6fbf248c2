"""Drivers by the names of the option `driver`."""

from __future__ import annotations

from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.drivers.chance import ChanceDriver
from kilonova.compute.scheduler.drivers.filter import FilterDriver
from kilonova.compute.scheduler.drivers.simple import SimpleDriver
from kilonova.compute.scheduler.drivers.zone import ZoneDriver
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.core.clock import Dice
from kilonova.core.config import ConfigError

__all__ = ["DRIVERS", "Driver", "load_driver"]

DRIVERS: dict[str, type[Driver]] = {kind.name: kind for kind in (FilterDriver, ChanceDriver, SimpleDriver, ZoneDriver)}


def load_driver(options: SchedulerOptions, dice: Dice) -> Driver:
    """Raises ConfigError for an unknown name."""
    kind = DRIVERS.get(options.driver)
    if kind is None:
        raise ConfigError(f"[scheduler] driver: unknown name {options.driver}; known are {', '.join(sorted(DRIVERS))}")
    return kind(options, dice)
