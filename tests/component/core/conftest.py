"""What tests of the bus over a broker begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kilonova.core.bus.amqp import AmqpBus
from kilonova.testing.engines import RabbitMQ
from tests.component.core.brokers import clear, open_amqp


@pytest.fixture
async def url(rabbitmq: RabbitMQ) -> str:
    await clear(rabbitmq.url)
    return rabbitmq.url


@pytest.fixture
async def bus(url: str) -> AsyncIterator[AmqpBus]:
    bus = await open_amqp(url)
    yield bus
    await bus.close()
