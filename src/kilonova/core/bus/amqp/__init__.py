"""`amqp://` and `amqps://`: the bus over RabbitMQ. Queues, guarantees and options: docs/explanation/bus.md."""

from kilonova.core.bus.amqp.bus import AmqpBus

__all__ = ["AmqpBus"]
