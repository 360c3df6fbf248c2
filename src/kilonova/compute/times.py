"""Times of rows as compute shows them, where there may be none."""

from __future__ import annotations

import datetime as dt

from kilonova.core.clock import iso, iso_bare


def shown(moment: dt.datetime | None) -> str | None:
    """`2026-01-31T12:00:00Z`."""
    return None if moment is None else iso(moment)


def shown_bare(moment: dt.datetime | None) -> str | None:
    """`2026-01-31T12:00:00.000000`, the form of the fields that never learned of zones."""
    return None if moment is None else iso_bare(moment)
