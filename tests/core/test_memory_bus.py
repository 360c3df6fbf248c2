"""memory:// passes the conformance suite."""

from __future__ import annotations

import pytest

from kilonova.core.bus import Bus, MemoryBus, open_bus
from tests.core.bus_conformance import BusConformance


class TestMemoryBus(BusConformance):
    async def make(self) -> Bus:
        bus = open_bus("memory://")
        await bus.open()
        return bus


def test_the_url_names_the_transport() -> None:
    assert isinstance(open_bus("memory://"), MemoryBus)
    with pytest.raises(ValueError, match=r"bus\.url.*carrier-pigeon"):
        open_bus("carrier-pigeon://")
