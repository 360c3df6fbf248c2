"""The parts that hold sockets of unusual kinds, on the event loop that production uses."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.host.dataplane.conformance import L2Conformance, MetadataConformance

pytestmark = pytest.mark.lab


class TestBridge(L2Conformance): ...


class TestMetadata(MetadataConformance): ...


@pytest.fixture(scope="module")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy()


async def test_this_is_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
