"""Notifications by themselves: the envelope, the queue in front of the broker, and a real broker."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from structlog.testing import capture_logs

from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.notify import Notification, NotificationOptions, Notifier, open_notifier
from kilonova.core.notify import notifier as module
from kilonova.core.notify.envelope import context, encode, timestamp
from kilonova.core.retry import Backoff
from kilonova.testing.engines import RabbitMQ
from tests.eventually import PATIENCE, until

CTX = RequestContext(
    request_id="req-1", user_id="u", user_name="demo", project_id="p", project_name="shop", roles=("member",),
    token="gAAAA-secret",
)  # fmt: skip
MOMENT = dt.datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=dt.UTC)


def sample(number: int = 0, **values: Any) -> Notification:
    made: dict[str, Any] = {
        "topic": "notifications", "publisher_id": "compute.h", "event_type": "compute.instance.create.end",
        "priority": "INFO", "payload": {"number": number}, "context": context(CTX), "timestamp": timestamp(MOMENT),
        "message_id": f"00000000-0000-4000-8000-{number:012d}",
    }  # fmt: skip
    return Notification(**made | values)


def opened(body: bytes) -> Any:
    outer = json.loads(body)
    assert set(outer) == {"oslo.version", "oslo.message"}
    assert outer["oslo.version"] == "2.0"
    return json.loads(outer["oslo.message"])


def test_the_envelope():
    message = opened(encode(sample(7)))
    assert {key: value for key, value in message.items() if not key.startswith("_")} == {
        "message_id": "00000000-0000-4000-8000-000000000007", "publisher_id": "compute.h",
        "event_type": "compute.instance.create.end", "priority": "INFO", "payload": {"number": 7},
        "timestamp": "2026-01-31 12:00:00.000005",
    }  # fmt: skip
    assert message["_unique_id"] == "00000000000040008000000000000007"
    assert message["_context_request_id"] == "req-1"
    assert message["_context_project_id"] == message["_context_tenant"] == "p"
    assert message["_context_roles"] == ["member"]
    assert b"gAAAA" not in encode(sample(7))


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A broker that this machine holds up is waited for."""
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 60.0)


class Broker:
    """A publisher that a test can stop."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.away = asyncio.Event()
        self.tries = 0

    async def publish(self, notification: Notification) -> None:
        self.tries += 1
        if self.away.is_set():
            raise errors.BusError(reason="away")
        self.taken.append(notification.payload["number"])

    async def close(self) -> None:
        return


def sending(*numbers: int) -> Any:
    async def make() -> list[Notification]:
        return [sample(number) for number in numbers]

    return make


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", Backoff(0.01, 0.01))
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 60)


def options(**values: Any) -> NotificationOptions:
    return NotificationOptions(format="both", **values)


async def test_notifications_are_sent_in_order_and_before_the_end():
    broker = Broker()
    notifier = Notifier(options(), broker)
    seen: list[int] = []
    notifier.observe(lambda notification: seen.append(notification.payload["number"]))
    for n in range(100):
        notifier.send(sending(2 * n, 2 * n + 1))
    await notifier.close()
    assert broker.taken == seen == list(range(200))


async def test_an_unreachable_broker_delays_no_request_and_only_notifications_over_the_limit_are_lost():
    broker = Broker()
    notifier = Notifier(options(backlog=10), broker)
    broker.away.set()
    with capture_logs() as logs:
        notifier.send(sending(0))
        await until(lambda: broker.tries >= 3)
        for n in range(1, 31):  # one is being sent, ten wait, the rest has no room
            notifier.send(sending(n))
        assert notifier.dropped == 20
        broker.away.clear()
        await until(lambda: len(broker.taken) >= 11)
        notifier.send(sending(99))
        await notifier.close()
    assert broker.taken == [*range(11), 99]
    assert logs[-1]["dropped"] == 20
    words = [entry["event"] for entry in logs]
    assert words == [
        "retrying",
        "dropping notifications: the backlog is full",
        "recovered",
    ]


async def test_closing_does_not_wait_for_an_unreachable_broker(monkeypatch):
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.1)
    broker = Broker()
    broker.away.set()
    notifier = Notifier(options(), broker)
    notifier.send(sending(1))
    await notifier.close()
    assert broker.taken == []


async def test_what_can_not_be_made_is_lost_alone():
    broker = Broker()
    notifier = Notifier(options(), broker)
    tries = 0

    async def later() -> list[Notification]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise errors.ServiceUnavailable(reason="database")
        return [sample(1)]

    async def never() -> list[Notification]:
        raise ValueError("broken")

    for make in (never, later, sending(2)):
        notifier.send(make)
    await notifier.close()
    assert broker.taken == [1, 2]


def test_formats():
    assert NotificationOptions().formats == ()
    assert NotificationOptions(format="both").formats == ("unversioned", "versioned")
    with pytest.raises(ValueError, match=r"\[notifications\] url"):
        open_notifier(options(url="http://somewhere"), "memory://")
    with pytest.raises(ValueError, match="option"):
        open_notifier(options(url="amqp://h/?odd=1"), "memory://")


# a real broker


@pytest.fixture
async def channel(rabbitmq: RabbitMQ) -> Any:
    async with await aio_pika.connect(rabbitmq.url) as connection:
        yield await connection.channel()


async def took(channel: Any, name: str, count: int) -> list[Any]:
    queue = await channel.get_queue(name)
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE), queue.iterator(no_ack=True) as messages:
        async for message in messages:
            assert message.content_type == "application/json"
            assert message.content_encoding == "utf-8"
            found.append(opened(message.body))
            if len(found) == count:
                return found
    return found


@pytest.mark.parametrize("kind", ["transient", "durable", "quorum"])
async def test_queues_are_made_and_wait_for_consumers(rabbitmq, channel, kind):
    notifier = open_notifier(options(exchange=f"made-{kind}", queues=kind), rabbitmq.url)
    for n in range(5):
        priority = "ERROR" if n == 4 else "INFO"

        async def make(n: int = n, priority: str = priority) -> list[Notification]:
            return [sample(n, topic=f"made-{kind}", priority=priority)]

        notifier.send(make)
    await notifier.close()
    found = await took(channel, f"made-{kind}.info", 4)
    assert [message["payload"]["number"] for message in found] == [0, 1, 2, 3]
    assert len({message["_unique_id"] for message in found}) == 4
    (error,) = await took(channel, f"made-{kind}.error", 1)
    assert error["priority"] == "ERROR"
    durable, arguments = kind != "transient", {"x-queue-type": "quorum"} if kind == "quorum" else {}
    # a consumer that declares them the same way is not refused
    await channel.declare_queue(f"made-{kind}.info", durable=durable, arguments=arguments)
    await channel.declare_exchange(f"made-{kind}", aio_pika.ExchangeType.TOPIC, durable=durable)


async def test_queues_that_a_consumer_made_are_used_as_they_are(rabbitmq, channel):
    await channel.declare_exchange("theirs", aio_pika.ExchangeType.TOPIC, durable=True)
    await channel.declare_queue("theirs.info", durable=True, arguments={"x-max-length": 7})
    notifier = open_notifier(options(exchange="theirs", queues="transient"), rabbitmq.url)

    async def make() -> list[Notification]:
        return [sample(3, topic="theirs")]

    notifier.send(make)
    await notifier.close()
    (message,) = await took(channel, "theirs.info", 1)
    assert message["payload"] == {"number": 3}


async def test_a_broker_that_is_killed(engine_folder: Path):
    """What was confirmed is there once it is back, and what came meanwhile too."""
    with RabbitMQ(engine_folder / "notified") as broker:
        notifier = open_notifier(options(exchange="kept", queues="durable"), broker.url)

        def send(number: int) -> None:
            async def make() -> list[Notification]:
                return [sample(number, topic="kept")]

            notifier.send(make)

        arrived: list[int] = []
        notifier.observe(lambda notification: arrived.append(notification.payload["number"]))
        for n in range(20):
            send(n)
        await until(lambda: len(arrived) >= 20)
        await asyncio.to_thread(broker.kill)
        for n in range(20, 40):
            send(n)
        await asyncio.to_thread(broker.start)
        await until(lambda: len(arrived) >= 40)
        await notifier.close()
        async with await aio_pika.connect(broker.url) as connection:
            found = await took(await connection.channel(), "kept.info", 40)
    numbers = [message["payload"]["number"] for message in found]
    assert sorted(set(numbers)) == list(range(40))
