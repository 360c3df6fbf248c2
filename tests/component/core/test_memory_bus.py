"""memory:// passes the conformance suite."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from kilonova.core import errors
from kilonova.core.bus import Bus, MemoryBus, open_bus
from tests.component.core.bus_conformance import CTX, BusConformance, PaintAPI, envelope
from tests.eventually import PATIENCE, until


async def _wait(receipt: Awaitable[None]) -> None:
    await receipt


class TestMemoryBus(BusConformance):
    """And what holds where nothing keeps a message but its sender."""

    async def make(self) -> Bus:
        bus = open_bus("memory://")
        await bus.open()
        return bus

    async def test_a_receiver_is_gone(self, bus: Bus) -> None:
        await self.painter(bus)
        await bus.withdraw(PaintAPI, host="h1")
        with pytest.raises(errors.NoReceiver):
            await bus.client(PaintAPI).paint(CTX, "late")

    async def test_the_receipt_comes_after_the_effect(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        painter.go.clear()
        receipt = asyncio.ensure_future(_wait(await bus.post(envelope("red"))))
        await until(lambda: painter.begun)
        assert not receipt.done()
        painter.go.set()
        await receipt
        assert painter.painted == ["red"]

    async def test_there_is_no_receipt_for_what_was_cut_off(self, bus: Bus) -> None:
        painter = await self.painter(bus)
        receipt = asyncio.ensure_future(_wait(await bus.post(envelope("red", 60))))
        await until(lambda: painter.begun)
        await bus.close()
        with pytest.raises(errors.BusError):
            await asyncio.wait_for(receipt, PATIENCE)
        assert painter.painted == []


def test_the_url_names_the_transport() -> None:
    assert isinstance(open_bus("memory://"), MemoryBus)
    with pytest.raises(ValueError, match=r"\[bus\] url.*carrier-pigeon"):
        open_bus("carrier-pigeon://")
