"""Drivers by the names of the option `driver`."""

from __future__ import annotations

from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.drivers.chance import ChanceDriver
from kilonova.compute.scheduler.drivers.filter import FilterDriver
from kilonova.compute.scheduler.drivers.simple import SimpleDriver
from kilonova.compute.scheduler.drivers.zone import ZoneDriver
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.core.clock import Dice
from kilonova.core.registry import Registry

__all__ = ["BUILT_IN", "Driver", "load_driver"]

BUILT_IN: dict[str, type[Driver]] = {kind.name: kind for kind in (FilterDriver, ChanceDriver, SimpleDriver, ZoneDriver)}
DRIVERS: Registry[type[Driver]] = Registry(
    "[scheduler] driver", "scheduler driver", "scheduler.drivers", BUILT_IN, Driver
)


def load_driver(options: SchedulerOptions, dice: Dice) -> Driver:
    """Raises ConfigError for an unknown name."""
    return DRIVERS[options.driver](options, dice)
