"""What the resources of placement are made of."""

from __future__ import annotations

from dataclasses import dataclass

from kilonova.core.clock import Clock
from kilonova.core.db import Database


@dataclass(frozen=True)
class Deps:
    database: Database
    clock: Clock
