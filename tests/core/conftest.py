"""What tests of the bus over a broker begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from kilonova.core.bus.amqp import AmqpBus
from kilonova.testing.engines import RabbitMQ
from tests.core.brokers import clear, open_amqp


@pytest.fixture(autouse=True)
def all_levels() -> Iterator[None]:
    """Log events of every level, whatever an earlier test's cloud has configured in this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(**before)


@pytest.fixture
async def url(rabbitmq: RabbitMQ) -> str:
    await clear(rabbitmq.url)
    return rabbitmq.url


@pytest.fixture
async def bus(url: str) -> AsyncIterator[AmqpBus]:
    bus = await open_amqp(url)
    yield bus
    await bus.close()
