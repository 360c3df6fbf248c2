"""Settings of the garbage collector for a server: loaded modules stay, and reference counts free most objects of a request."""

from __future__ import annotations

import gc

YOUNG = 20_000  # new objects before a collection; with Python's default of 700, one launch causes a dozen


def settle() -> None:
    """Call it when all modules are loaded: exclude them from collections and collect less often. Cycles are still freed."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
