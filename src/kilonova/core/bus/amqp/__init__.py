"""`amqp://` and `amqps://`: the bus over RabbitMQ. docs/explanation/bus.md tells its queues, promises and options."""

from kilonova.core.bus.amqp.bus import AmqpBus

__all__ = ["AmqpBus"]
