"""Times of rows as the volume API shows them."""

from __future__ import annotations

import datetime as dt

from kilonova.core.clock import iso_bare


def shown(moment: dt.datetime | None) -> str | None:
    """`2026-01-31T12:00:00.000000`."""
    return None if moment is None else iso_bare(moment)
