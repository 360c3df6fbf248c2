"""The parts that hold sockets of unusual kinds, on the event loop that production uses."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.dataplane.test_bridge_filters import test_taps_are_told
from tests.dataplane.test_bridge_services import test_metadata_knows_who_asks

pytestmark = pytest.mark.lab
__all__ = ["test_metadata_knows_who_asks", "test_taps_are_told"]


@pytest.fixture(scope="module")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


async def test_this_is_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
