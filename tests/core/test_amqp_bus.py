"""amqp:// passes the conformance suite on a real RabbitMQ."""

from __future__ import annotations

import aiormq
import pytest

from kilonova.core.bus import Bus, open_bus
from kilonova.testing.engines import RabbitMQ
from tests.core.bus_conformance import BusConformance


class TestAmqpBus(BusConformance):
    @pytest.fixture(autouse=True)
    def broker(self, rabbitmq: RabbitMQ) -> RabbitMQ:
        self.rabbitmq = rabbitmq
        return rabbitmq

    async def make(self) -> Bus:
        async with aiormq.connect(self.rabbitmq.url) as connection:
            channel = await connection.channel()
            for queue in ("kilonova.paint", *(f"kilonova.paint.h{n}" for n in range(4)), "kilonova.dead"):
                await channel.queue_delete(queue)
            await channel.exchange_delete("kilonova")
            await channel.exchange_delete("kilonova.dead")
        bus = open_bus(self.rabbitmq.url)
        await bus.open()
        return bus
