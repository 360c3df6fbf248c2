"""What all of the service's logic is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from kilonova.core.clock import Clock, iso
from kilonova.core.db import Database
from kilonova.network.hosts.announcer import Announcer
from kilonova.network.options import NetworkOptions
from kilonova.network.store.objects import Objects


@dataclass(frozen=True, kw_only=True)
class Deps:
    """`counted` are the objects that quotas limit, and the names of the limits."""

    database: Database
    clock: Clock
    options: NetworkOptions
    announcer: Announcer
    counted: Mapping[Objects[Any], str] = field(default_factory=dict)

    def now(self) -> str:
        return iso(self.clock.now())

    def alive_since(self) -> str:
        return alive_since(self.clock, self.options)


def alive_since(clock: Clock, options: NetworkOptions) -> str:
    """Agents whose last heartbeat is older are down."""
    return iso(clock.now() - timedelta(seconds=options.agent_down_time))
