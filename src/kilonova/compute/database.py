"""The compute database, shared by API, conductor and scheduler where they run in one process."""

from __future__ import annotations

from pathlib import Path

from kilonova.compute.tables import metadata
from kilonova.core.db import Database
from kilonova.core.service import Core

MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(core: Core) -> Database:
    """A new Database; `ComputeApiService.start` migrates it."""
    return core.database("compute", metadata)
