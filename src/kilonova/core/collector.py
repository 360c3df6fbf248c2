"""Python's garbage collector, told how a server lives: what it loaded stays, what a request makes mostly goes by itself."""

from __future__ import annotations

import gc

YOUNG = 20_000  # objects before the collector looks again; Python's own 700 are a dozen looks for one launch


def settle() -> None:
    """Once all is loaded: never look at it again, and look at what is new less often. Cycles still go."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
