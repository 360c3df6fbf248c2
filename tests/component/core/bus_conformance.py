"""What every bus must do. A transport's tests subclass `BusConformance` and say how a bus is made."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from kilonova.core import errors
from kilonova.core.bus import Bus, Interface, call, cast, fanout
from kilonova.core.bus.base import Envelope
from kilonova.core.context import RequestContext
from tests.eventually import until

CTX = RequestContext(request_id="req-1", user_id="u", roles=("member", "reader"), token="t")


class Color(msgspec.Struct, kw_only=True):
    name: str
    shades: list[int] = []
    parent: Color | None = None


class NoSuchColor(errors.NotFound):
    template = "Color {name} could not be found."


class PaintAPI(Interface):
    topic = "paint"

    @call(timeout=60)
    async def echo(
        self, ctx: RequestContext, color: Color, when: dt.datetime | None = None, count: int = 3, data: bytes = b""
    ) -> tuple[Color, dt.datetime | None, int, bytes]: ...

    @call(timeout=60)
    async def who(self, ctx: RequestContext) -> RequestContext: ...

    @call(timeout=60)
    async def fail(self, ctx: RequestContext, kind: str) -> None: ...

    @call(timeout=0.1)
    async def slow(self, ctx: RequestContext, seconds: float) -> str: ...

    @call(timeout=2)
    async def late(self, ctx: RequestContext) -> str: ...

    @call(timeout=30)
    async def patient(self, ctx: RequestContext, seconds: float) -> str: ...

    @cast
    async def paint(self, ctx: RequestContext, color: str, seconds: float = 0) -> None: ...

    @fanout
    async def dry(self, ctx: RequestContext, color: str) -> None: ...


class NewerPaintAPI(Interface):
    """The same topic as a neighbour of the next release has it."""

    topic = "paint"
    version = "1.1"

    @call(timeout=60)
    async def echo(
        self, ctx: RequestContext, color: dict[str, Any], extra: str = "new", count: int = 3
    ) -> tuple[dict[str, Any], None, int, bytes]: ...

    @call(timeout=60)
    async def fail(self, ctx: RequestContext) -> None: ...

    @call(timeout=60)
    async def who(self, ctx: RequestContext) -> int: ...

    @call(timeout=60)
    async def brush(self, ctx: RequestContext) -> None: ...


class Painter(PaintAPI):
    def __init__(self, name: str) -> None:
        self.name = name
        self.painted: list[str] = []
        self.begun: list[str] = []
        self.dried: list[str] = []
        self.cancelled = 0
        self.at_once = self.most_at_once = 0
        self.go = asyncio.Event()  # nothing ends before
        self.go.set()

    async def echo(
        self, ctx: RequestContext, color: Color, when: dt.datetime | None = None, count: int = 3, data: bytes = b""
    ) -> tuple[Color, dt.datetime | None, int, bytes]:
        assert isinstance(color, Color)
        return color, when, count, data

    async def who(self, ctx: RequestContext) -> RequestContext:
        return ctx

    async def fail(self, ctx: RequestContext, kind: str) -> None:
        match kind:
            case "typed":
                raise NoSuchColor(name="mauve")
            case "busy":
                raise errors.ServiceUnavailable(reason="busy", headers={"Retry-After": "5"})
            case "odd params":
                raise NoSuchColor(name="x", at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), why=ValueError("y"), parts={"a"})
            case _:
                raise ZeroDivisionError("one by zero")

    async def slow(self, ctx: RequestContext, seconds: float) -> str:
        return await self.patient(ctx, seconds)

    async def late(self, ctx: RequestContext) -> str:
        return await self.patient(ctx, 0)

    async def patient(self, ctx: RequestContext, seconds: float) -> str:
        self.begun.append("patient")
        try:
            await asyncio.sleep(seconds)
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.painted.append("patient")
        return self.name

    async def paint(self, ctx: RequestContext, color: str, seconds: float = 0) -> None:
        self.begun.append(color)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(seconds)
            await self.go.wait()
            if color == "bad":
                raise ZeroDivisionError("one by zero")
            if color == "far" and self.begun.count("far") < 3:
                raise errors.ServiceUnavailable(reason="no such paint just now")
            self.painted.append(color)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.at_once -= 1

    async def dry(self, ctx: RequestContext, color: str) -> None:
        self.dried.append(color)


class BusConformance:
    async def make(self) -> Bus:
        """An open bus with nothing on it."""
        raise NotImplementedError

    @pytest.fixture
    async def bus(self) -> AsyncIterator[Bus]:
        bus = await self.make()
        yield bus
        await bus.close()

    @staticmethod
    async def painter(bus: Bus, host: str = "h1", **more: Any) -> Painter:
        painter = Painter(host)
        await bus.serve(PaintAPI, painter, host=host, **more)
        return painter

    # ---- what is sent is what arrives

    async def test_arguments_and_results_keep_their_types(self, bus: Bus) -> None:
        await self.painter(bus)
        color = Color(name="red", shades=[1, 2], parent=Color(name="all"))
        when = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
        client = bus.client(PaintAPI)
        assert await client.echo(CTX, color, when, 7, b"\x00\xff") == (color, when, 7, b"\x00\xff")
        assert await client.echo(CTX, data=b"x", color=color) == (color, None, 3, b"x")
        assert await client.who(CTX) == CTX

    async def test_what_arrives_is_a_copy(self, bus: Bus) -> None:
        await self.painter(bus)
        color = Color(name="red", shades=[1])
        got, *_ = await bus.client(PaintAPI).echo(CTX, color)
        got.shades.append(2)
        assert color.shades == [1]

    async def test_unknown_arguments_and_fields_of_a_newer_sender_are_tolerated(self, bus: Bus) -> None:
        await self.painter(bus)
        color = {"name": "red", "gloss": 7, "shades": [1]}
        got, _, count, _ = await bus.client(NewerPaintAPI).echo(CTX, color, "shiny", 4)
        assert got == {"name": "red", "shades": [1], "parent": None}
        assert count == 4

    async def test_what_does_not_fit_is_a_typed_error(self, bus: Bus) -> None:
        """A required argument is missing, a type is another, the method is unknown, the result can't be read."""
        await self.painter(bus)
        newer = bus.client(NewerPaintAPI)
        with pytest.raises(errors.BusError, match=r"paint\.fail.*kind"):
            await newer.fail(CTX)
        with pytest.raises(errors.BusError, match=r"paint\.echo.*name"):
            await newer.echo(CTX, {"shades": [1]})
        with pytest.raises(errors.BusError, match=r"paint\.echo.*int"):
            await newer.echo(CTX, {"name": "red"}, count="four")  # type: ignore[arg-type]
        with pytest.raises(errors.BusError, match="no method brush"):
            await newer.brush(CTX)
        with pytest.raises(errors.BusError, match=r"reply of paint\.who.*int"):
            await newer.who(CTX)

    async def test_typed_errors_cross_with_parameters_and_headers(self, bus: Bus) -> None:
        await self.painter(bus)
        client = bus.client(PaintAPI)
        with pytest.raises(NoSuchColor, match=r"Color mauve could not be found\.") as caught:
            await client.fail(CTX, "typed")
        assert (caught.value.status, caught.value.params) == (404, {"name": "mauve"})
        with pytest.raises(errors.ServiceUnavailable) as busy:
            await client.fail(CTX, "busy")
        assert busy.value.headers == {"Retry-After": "5"}
        with pytest.raises(NoSuchColor) as odd:
            await client.fail(CTX, "odd params")
        assert odd.value.params["why"] == "y"

    async def test_other_exceptions_cross_without_their_traceback(self, bus: Bus) -> None:
        await self.painter(bus)
        with pytest.raises(errors.RemoteError) as caught:
            await bus.client(PaintAPI).fail(CTX, "other")
        assert caught.value.message == "ZeroDivisionError: one by zero"
        assert ".py" not in repr(caught.value.params)

    async def test_a_cast_that_failed_on_an_unreachable_service_is_retried(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        await bus.client(PaintAPI).paint(CTX, "far")
        await until(lambda: painter.painted == ["far"])
        assert painter.begun == ["far"] * 3

    # ---- time

    async def test_a_call_ends_at_its_time_out_and_the_receiver_goes_on(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        painter.go.clear()
        with pytest.raises(errors.CallTimeout, match=r"paint\.late within 2 s"):
            await bus.client(PaintAPI).late(CTX)
        assert painter.begun == ["patient"]
        painter.go.set()
        await until(lambda: painter.painted)
        assert painter.cancelled == 0

    async def test_a_caller_that_is_cancelled_does_not_cancel_the_receiver(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        painter.go.clear()
        task = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
        await until(lambda: painter.begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        painter.go.set()
        await until(lambda: painter.painted)

    async def test_cancelling_a_caller_is_never_lost(self, bus: Bus) -> None:
        """Also when the reply arrives in the same moment."""
        await self.painter(bus)
        for turns in range(12):
            task = asyncio.ensure_future(bus.client(PaintAPI).who(CTX))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task

    async def test_a_call_whose_deadline_passed_in_the_queue_is_not_done(self, bus: Bus) -> None:
        painter = await self.painter(bus, concurrency=1)
        client = bus.client(PaintAPI)
        painter.go.clear()
        await client.paint(CTX, "first")
        await until(lambda: painter.begun)
        with pytest.raises(errors.CallTimeout):
            await client.slow(CTX, 0)
        painter.go.set()
        await until(lambda: painter.painted)
        await asyncio.sleep(0.1)
        assert painter.begun == ["first"]

    # ---- receivers

    async def test_a_missing_receiver_is_a_typed_error(self, bus: Bus) -> None:
        with pytest.raises(errors.NoReceiver, match="paint"):
            await bus.client(PaintAPI).who(CTX)
        with pytest.raises(errors.NoReceiver):
            await bus.client(PaintAPI).paint(CTX, "red")
        await self.painter(bus, "h1")
        with pytest.raises(errors.NoReceiver, match=r"paint\.h2"):
            await bus.client(PaintAPI, host="h2").who(CTX)
        with pytest.raises(errors.NoReceiver):
            await bus.client(PaintAPI, host="h2").paint(CTX, "red")

    async def test_a_fanout_may_have_no_receiver(self, bus: Bus) -> None:
        await bus.client(PaintAPI).dry(CTX, "red")

    async def test_each_message_of_a_shared_topic_is_handled_once(self, bus: Bus) -> None:
        painters = [await self.painter(bus, f"h{n}") for n in range(3)]
        client = bus.client(PaintAPI)
        sent = [str(n) for n in range(30)]
        for color in sent:
            await client.paint(CTX, color)
        await until(lambda: sum(len(p.painted) for p in painters) >= 30)
        await asyncio.sleep(0.02)
        assert sorted(c for p in painters for c in p.painted) == sorted(sent)
        assert all(p.painted for p in painters)

    async def test_a_message_to_a_host_reaches_that_host(self, bus: Bus) -> None:
        one, two = await self.painter(bus, "h1"), await self.painter(bus, "h2")
        for _ in range(4):
            await bus.client(PaintAPI, host="h2").paint(CTX, "red")
        assert await bus.client(PaintAPI, host="h1").patient(CTX, 0) == "h1"
        await until(lambda: len(two.painted) == 4)
        assert one.painted == ["patient"]

    async def test_a_fanout_reaches_everybody(self, bus: Bus) -> None:
        painters = [await self.painter(bus, f"h{n}") for n in range(3)]
        await bus.client(PaintAPI).dry(CTX, "red")
        await until(lambda: all(p.dried == ["red"] for p in painters))

    async def test_no_more_at_once_than_agreed(self, bus: Bus) -> None:
        painter = await self.painter(bus, concurrency=2)
        painter.go.clear()
        for n in range(8):
            await bus.client(PaintAPI).paint(CTX, str(n))
        await until(lambda: painter.at_once == 2)
        await asyncio.sleep(0.1)  # in which a third one would begin
        assert painter.most_at_once == 2
        painter.go.set()
        await until(lambda: len(painter.painted) == 8)
        assert painter.most_at_once == 2

    # ---- ends

    async def test_withdrawing_finishes_what_was_begun(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        painter.go.clear()
        answer = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 0))
        await bus.client(PaintAPI).paint(CTX, "red")
        await until(lambda: len(painter.begun) == 2)
        withdrawing = asyncio.ensure_future(bus.withdraw(PaintAPI, host="h1"))
        await asyncio.sleep(0.1)
        assert not withdrawing.done()
        painter.go.set()
        await withdrawing
        assert sorted(painter.painted) == ["patient", "red"]
        assert await answer == "h1"
        await bus.withdraw(PaintAPI, host="h1")  # once more is harmless

    async def test_the_others_go_on_when_one_withdraws(self, bus: Bus) -> None:
        await self.painter(bus, "h1")
        two = await self.painter(bus, "h2")
        await bus.withdraw(PaintAPI, host="h1")
        for _ in range(3):
            await bus.client(PaintAPI).paint(CTX, "red")
        await until(lambda: len(two.painted) == 3)

    async def test_closing_cancels_handlers_and_callers_get_an_error(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        answer = asyncio.ensure_future(bus.client(PaintAPI).patient(CTX, 60))
        await until(lambda: painter.begun)
        await bus.close()
        assert painter.cancelled == 1
        with pytest.raises(errors.BusError):
            await answer

    # ---- receipts

    async def test_a_handler_that_fails_has_finished_with_the_message(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        await (await bus.post(envelope("bad")))
        await (await bus.post(envelope("red")))
        await until(lambda: painter.painted)
        assert painter.begun == ["bad", "red"]


def envelope(color: str, seconds: float = 0) -> Envelope:
    arguments = msgspec.msgpack.encode({"color": color, "seconds": seconds})
    return Envelope(
        id=uuid.uuid4().hex, topic="paint", host=None, pattern="cast", method="paint", version="1.0", context=CTX,
        arguments=msgspec.Raw(arguments),
    )  # fmt: skip
