"""The message bus: typed call, cast and fanout between components."""

from kilonova.core.bus.base import Bus, Receipt
from kilonova.core.bus.interface import Interface, call, cast, fanout, hint
from kilonova.core.bus.memory import MemoryBus

__all__ = ["Bus", "Interface", "MemoryBus", "Receipt", "call", "cast", "fanout", "hint", "open_bus"]


def open_bus(url: str) -> Bus:
    """The transport that the URL names: `memory://` for one process, `amqp://` or `amqps://` for RabbitMQ. Raises
    ValueError."""
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return MemoryBus()
    if scheme in ("amqp", "amqps"):
        from kilonova.core.bus.amqp import AmqpBus  # here, so that one process alone loads no broker's client

        return AmqpBus(url)
    raise ValueError(f"bus.url: no transport for {scheme}://; known: memory://, amqp://, amqps://")
