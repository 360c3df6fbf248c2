"""amqp:// passes the conformance suite on a real RabbitMQ, and keeps what memory:// can't promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiormq.abc import AbstractChannel, DeliveredMessage

from kilonova.core import errors
from kilonova.core.bus import Bus, Interface, fanout, open_bus
from kilonova.core.bus.amqp import AmqpBus
from kilonova.core.context import RequestContext
from kilonova.testing.engines import RabbitMQ
from tests.component.core.brokers import channel, left_in, open_amqp
from tests.component.core.bus_conformance import CTX, BusConformance, PaintAPI, envelope
from tests.eventually import until


class TestAmqpBus(BusConformance):
    @pytest.fixture(autouse=True)
    def _broker(self, url: str) -> None:
        self.url = url

    async def make(self) -> Bus:
        return await open_amqp(self.url)


@pytest.fixture
async def other(url: str) -> AsyncIterator[AmqpBus]:
    """Another connection, as another process has it."""
    other = await open_amqp(url)
    yield other
    await other.close()


serve = BusConformance.painter


# ---- the broker keeps


async def test_a_host_that_was_down_gets_its_messages(bus: AmqpBus, other: AmqpBus) -> None:
    await serve(other, "away")
    await other.close()
    await bus.client(PaintAPI, host="away").paint(CTX, "red")
    await bus.client(PaintAPI).paint(CTX, "blue")
    painter = await serve(bus, "away")
    await until(lambda: sorted(painter.painted) == ["blue", "red"])


async def test_a_call_to_a_host_that_is_down_is_not_done_after_its_deadline(bus: AmqpBus, url: str) -> None:
    await serve(bus, "away")
    await bus.withdraw(PaintAPI, host="away")
    with pytest.raises(errors.CallTimeout):
        await bus.client(PaintAPI, host="away").slow(CTX, 0)
    painter = await serve(bus, "away")
    await bus.client(PaintAPI, host="away").paint(CTX, "after it")
    await until(lambda: painter.painted)
    assert painter.begun == ["after it"]
    assert await left_in(url, "kilonova.dead") == 0


async def test_a_host_can_be_forgotten(bus: AmqpBus) -> None:
    await serve(bus, "away")
    with pytest.raises(errors.BusError, match=r"kilonova\.paint\.away has a consumer"):
        await bus.forget(PaintAPI, host="away")
    await bus.withdraw(PaintAPI, host="away")
    await bus.client(PaintAPI, host="away").paint(CTX, "red")
    assert await bus.forget(PaintAPI, host="away") == 1
    assert await bus.forget(PaintAPI, host="away") == 0
    with pytest.raises(errors.NoReceiver):
        await bus.client(PaintAPI, host="away").paint(CTX, "blue")
    painter = await serve(bus, "away")
    await bus.client(PaintAPI, host="away").paint(CTX, "green")
    await until(lambda: painter.painted == ["green"])


async def test_processes_share_a_topic_and_get_each_fanout(bus: AmqpBus, other: AmqpBus) -> None:
    one, two = await serve(bus, "h1"), await serve(other, "h2")
    for n in range(20):
        await bus.client(PaintAPI).paint(CTX, str(n))
    await other.client(PaintAPI).dry(CTX, "all")
    await until(lambda: len(one.painted) + len(two.painted) == 20 and one.dried == two.dried == ["all"])
    assert one.painted
    assert two.painted


async def test_fanouts_leave_no_queue_behind(bus: AmqpBus, url: str) -> None:
    class NewsAPI(Interface):
        topic = "news"

        @fanout
        async def published(self, ctx: RequestContext) -> None: ...

    await bus.serve(NewsAPI, NewsAPI(), host="h1")
    async with channel(url) as broker:
        with pytest.raises(Exception, match=r"no queue 'kilonova\.news\.h1'"):
            await broker.queue_declare("kilonova.news.h1", passive=True)


# ---- the same message again


async def test_a_repeat_joins_the_first_run(bus: AmqpBus, url: str) -> None:
    painter = await serve(bus)
    painter.go.clear()
    message = envelope("red")
    await asyncio.gather(bus.post(message), bus.post(message))
    await until(lambda: painter.begun)
    painter.go.set()
    await until(lambda: painter.painted)
    await bus.post(message)
    await bus.client(PaintAPI).paint(CTX, "last")
    await until(lambda: "last" in painter.painted)
    assert painter.begun == ["red", "last"]
    await bus.close()
    assert await left_in(url, "kilonova.paint") == 0


# ---- poison


async def test_what_cannot_be_read_is_put_aside_and_counted(bus: AmqpBus, url: str) -> None:
    painter = await serve(bus)
    async with channel(url) as broker:
        await broker.basic_publish(b"\xff nonsense", exchange="kilonova", routing_key="paint")
        await bus.client(PaintAPI).paint(CTX, "red")
        await until(lambda: painter.painted == ["red"] and bus.dead_lettered == 1)
        letter = await _next_in(broker, "kilonova.dead")
    assert letter.body == b"\xff nonsense"


async def _next_in(broker: AbstractChannel, queue: str) -> DeliveredMessage:
    """The next message; the broker moves what is rejected in its own time."""
    message = await broker.basic_get(queue)
    while message.delivery_tag is None:
        await asyncio.sleep(0.01)
        message = await broker.basic_get(queue)
    return message


async def _lose_receivers(url: str, queue: str, times: int) -> None:
    async with channel(url) as broker:
        for _ in range(times):
            message = await _next_in(broker, queue)
            await broker.basic_nack(message.delivery_tag, requeue=True)


async def test_what_kills_its_receivers_is_put_aside_and_counted(bus: AmqpBus, url: str) -> None:
    await serve(bus)
    await bus.withdraw(PaintAPI, host="h1")
    answer = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
    await _lose_receivers(url, "kilonova.paint", 9)
    painter = await serve(bus)
    assert await answer == "h1"  # nine may be bad luck
    await bus.withdraw(PaintAPI, host="h1")
    answer = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
    await _lose_receivers(url, "kilonova.paint", 10)
    painter = await serve(bus)
    with pytest.raises(errors.BusError, match="lost 10 times"):
        await answer
    assert painter.begun == []
    assert bus.dead_lettered == 1
    await until(lambda: left_in(url, "kilonova.dead"), satisfies=lambda found: found == 1)


# ---- logins


async def test_over_tls(rabbitmq: RabbitMQ, url: str) -> None:
    bus = await open_amqp(rabbitmq.tls_url)
    await serve(bus)
    assert await bus.client(PaintAPI).patient(CTX, 0) == "h1"
    await bus.close()
    stranger = open_bus(rabbitmq.tls_url.partition("?")[0])
    with pytest.raises(errors.BusError, match=r"no entry .*certificate verify failed"):
        await stranger.open()


async def test_no_broker_and_refused_login_are_different_errors(rabbitmq: RabbitMQ) -> None:
    unreachable = open_bus("amqp://kilonova:x@127.0.0.1:1/?open_timeout=2")
    with pytest.raises(errors.BusError, match=r"no broker at 127\.0\.0\.1:1 within 2 s: .*Connect call failed"):
        await unreachable.open()
    assert not unreachable.ready
    wrong = open_bus(f"amqp://kilonova:wrong@127.0.0.1:{rabbitmq.port}/")
    with pytest.raises(errors.BusError, match=r"no entry .*ACCESS_REFUSED") as caught:
        await wrong.open()
    assert "wrong" not in caught.value.message


async def test_the_next_broker_is_tried(rabbitmq: RabbitMQ, url: str) -> None:
    bus = await open_amqp(url.replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:"))
    assert bus.ready
    await bus.close()


@pytest.mark.parametrize("bad", ["amqp://", "amqp://h/?colour=red", "amqp://h/?open_timeout=soon"])
def test_unusable_urls_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\[bus\] url|could not convert"):
        open_bus(bad)
