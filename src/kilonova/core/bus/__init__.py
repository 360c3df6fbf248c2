"""The message bus: typed call, cast and fanout between components."""

from kilonova.core.bus.base import Bus, Receipt
from kilonova.core.bus.interface import Interface, call, cast, fanout, hint
from kilonova.core.bus.memory import MemoryBus

__all__ = ["Bus", "Interface", "MemoryBus", "Receipt", "call", "cast", "fanout", "hint", "open_bus"]


def open_bus(url: str) -> Bus:
    """The transport that the URL names; `memory://` for one process."""
    if url.startswith("memory://"):
        return MemoryBus()
    raise ValueError(f"bus.url: no transport for {url.split(':')[0]}://; known: memory://")
