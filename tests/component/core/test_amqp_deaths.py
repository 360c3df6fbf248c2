"""Brokers, connections and receivers die; no message is lost, and none runs twice in one process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from kilonova.core import errors
from kilonova.core.bus.amqp import AmqpBus
from kilonova.testing.engines import RabbitMQ
from tests.component.core.brokers import Wire, channel, left_in, open_amqp
from tests.component.core.bus_conformance import CTX, BusConformance, PaintAPI, envelope
from tests.eventually import until

serve = BusConformance.painter


@pytest.fixture
async def wire(url: str) -> AsyncIterator[Wire]:
    async with Wire(url) as wire:
        yield wire


@pytest.fixture
async def far(wire: Wire) -> AsyncIterator[AmqpBus]:
    """A bus whose connection can be cut."""
    far = await open_amqp(wire.url)
    yield far
    await far.close()


async def empty(url: str, queue: str) -> None:
    await until(lambda: left_in(url, queue), satisfies=lambda found: not found)


# ---- the broker


async def lasting(rabbitmq: RabbitMQ) -> None:
    """RabbitMQ notes half a second late whose a quorum queue's log is: a queue younger than that does not outlive a crash. Each
    log is a folder, named by an id that is in the notes once they are written."""
    notes = next(rabbitmq.folder.glob("data/*/quorum/*/names.dets"))

    def noted() -> bool:
        written = notes.read_bytes()
        return all(log.name.encode() in written for log in notes.parent.iterdir() if log.is_dir())

    await until(noted)


class Sender:
    """Posts until it is stopped, as an outbox does: what was not confirmed is posted again, the same message."""

    def __init__(self, bus: AmqpBus) -> None:
        self.bus, self.sent, self.failed, self.stopped = bus, set[str](), 0, False

    async def run(self, name: str) -> None:
        number = 0
        while not self.stopped:
            color = f"{name}-{number}"
            message = envelope(color)
            while color not in self.sent:
                try:
                    await self.bus.post(message)
                    self.sent.add(color)
                except errors.BusError:
                    self.failed += 1
                    await asyncio.sleep(0.01)
            number += 1


async def test_a_broker_that_is_killed_loses_nothing(rabbitmq: RabbitMQ, bus: AmqpBus, url: str) -> None:
    painter, other = await serve(bus, "h1"), await open_amqp(url)
    await lasting(rabbitmq)
    sender = Sender(other)
    senders = [asyncio.ensure_future(sender.run(f"s{n}")) for n in range(10)]
    await bus.client(PaintAPI).paint(CTX, "long", 20)
    call = asyncio.ensure_future(other.client(PaintAPI).patient(CTX, 20))
    await until(lambda: {"long", "patient"} <= set(painter.begun) and len(sender.sent) > 100)
    await asyncio.to_thread(rabbitmq.kill)
    with pytest.raises(errors.BusError, match="lost before the reply"):
        await call
    await until(lambda: not bus.ready)
    before = len(sender.sent)
    await asyncio.to_thread(rabbitmq.start)
    await until(lambda: len(sender.sent) > before + 100 and bus.ready)
    sender.stopped = True
    await asyncio.gather(*senders)
    await until(lambda: sender.sent <= set(painter.painted))
    assert sender.failed
    assert len(painter.begun) == len(set(painter.begun))  # "long" and "patient" too: they went on, and came again
    assert painter.cancelled == 0
    assert await bus.client(PaintAPI).who(CTX) == CTX
    await other.close()


# ---- the connection


async def test_a_receiver_cut_off_at_work_works_once(far: AmqpBus, bus: AmqpBus, wire: Wire, url: str) -> None:
    """The broker gives the message out again: while it runs, and once more after it has ended."""
    painter = await serve(far)
    painter.go.clear()
    call = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
    await bus.client(PaintAPI).paint(CTX, "red")
    await until(lambda: len(painter.begun) == 2)
    wire.cut()
    await until(lambda: not far.ready)
    await until(lambda: far.ready)
    wire.down = True
    wire.cut()
    painter.go.set()
    await until(lambda: len(painter.painted) == 2)
    wire.down = False
    assert await call == "h1"
    assert sorted(painter.begun) == ["patient", "red"]
    await far.close()
    await empty(url, "kilonova.paint")


async def test_a_caller_whose_connection_is_lost_gets_an_error_at_once(far: AmqpBus, bus: AmqpBus, wire: Wire) -> None:
    painter = await serve(bus)
    call = asyncio.ensure_future(far.client(PaintAPI).patient(CTX, 60))
    await until(lambda: painter.begun)
    wire.cut()
    with pytest.raises(errors.BusError, match="lost before the reply"):
        await call
    assert painter.painted == []
    assert await far.client(PaintAPI).patient(CTX, 0) == "h1"


async def test_senders_wait_for_the_connection_but_not_for_ever(far: AmqpBus, bus: AmqpBus, wire: Wire) -> None:
    painter, hasty = await serve(bus), await open_amqp(wire.url, post_timeout=0.1)
    wire.down = True
    wire.cut()
    await until(lambda: not hasty.ready and not far.ready)
    with pytest.raises(errors.BusError):
        await hasty.check()
    with pytest.raises(errors.BusError, match="no connection to the broker"):
        await hasty.client(PaintAPI).paint(CTX, "early")
    sending = asyncio.ensure_future(far.client(PaintAPI).paint(CTX, "red"))
    wire.down = False
    await sending
    await until(lambda: painter.painted == ["red"])
    await hasty.close()


async def test_everything_that_was_served_is_served_again(far: AmqpBus, bus: AmqpBus, wire: Wire) -> None:
    one, two = await serve(far, "h1"), await serve(far, "h2")
    await serve(far, "h3")
    await far.withdraw(PaintAPI, host="h3")
    wire.cut()
    await until(lambda: not far.ready)
    await until(lambda: far.ready)
    for host in ("h1", "h2"):
        assert await bus.client(PaintAPI, host=host).patient(CTX, 0) == host
    await bus.client(PaintAPI).dry(CTX, "all")
    await until(lambda: one.dried == two.dried == ["all"])


async def test_a_deleted_queue_is_made_anew(bus: AmqpBus, url: str) -> None:
    painter = await serve(bus)
    async with channel(url) as broker:
        await broker.queue_delete("kilonova.paint")
    await until(lambda: not bus.ready)
    await until(lambda: bus.ready)
    await bus.client(PaintAPI).paint(CTX, "red")
    await until(lambda: painter.painted == ["red"])


# ---- the receiver


async def test_what_a_killed_process_had_begun_goes_to_another(bus: AmqpBus, url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.component.core.painter_process", url, "h1", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"serves\n"
    call = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
    assert await process.stdout.readline() == b"patient\n"
    await bus.client(PaintAPI).paint(CTX, "red")
    assert await process.stdout.readline() == b"paint\n"
    two = await serve(bus, "h2")
    process.kill()
    await process.wait()
    assert await call == "h2"
    await until(lambda: sorted(two.painted) == ["patient", "red"])


async def test_what_does_not_end_in_time_is_handed_back(bus: AmqpBus, url: str) -> None:
    """The caller of withdraw limits its time by cancelling."""
    other = await open_amqp(url)
    one = await serve(other, "h1", concurrency=1)
    await bus.client(PaintAPI).paint(CTX, "first", 60)
    await until(lambda: one.begun)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await other.withdraw(PaintAPI, host="h1")
    assert one.cancelled == 1
    two = await serve(bus, "h2")
    await until(lambda: two.begun == ["first"])
    await other.close()
