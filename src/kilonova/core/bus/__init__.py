"""The message bus: typed call, cast and fanout between components."""

from kilonova.core.bus.base import Bus, Receipt
from kilonova.core.bus.interface import ANY_HOST, RECEIVER, Interface, call, cast, fanout, from_host, hint
from kilonova.core.bus.memory import MemoryBus

__all__ = [
    "ANY_HOST", "RECEIVER", "Bus", "Interface", "MemoryBus", "Receipt", "call", "cast", "fanout", "from_host", "hint", "open_bus",
]  # fmt: skip


def open_bus(url: str, host_users: str = "") -> Bus:
    """The transport that the URL names: `memory://` for one process, `amqp://` or `amqps://` for RabbitMQ. `host_users`: the
    names of compute hosts' broker users, see senders.py. Raises ValueError."""
    scheme = url.partition(":")[0]
    if scheme == "memory":
        return MemoryBus()
    if scheme in ("amqp", "amqps"):
        from kilonova.core.bus.amqp import AmqpBus  # here, so that one process alone loads no broker's client

        return AmqpBus(url, host_users)
    raise ValueError(f"[bus] url: no transport for {scheme}://; known: memory://, amqp://, amqps://")
