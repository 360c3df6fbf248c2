"""A bridge data plane of the test's own, on the machine itself: own chains, own table, own ids."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kilonova.network.agent.composed import ComposedDataPlane
from kilonova.network.agent.metadata.proxy import MetadataUpstream
from kilonova.network.agent.model import PortModel
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.registry import compose
from tests.host.dataplane.lab import Guest, leftovers


class Lab:
    """One data plane and the guests on it."""

    def __init__(self, options: DataPlaneOptions) -> None:
        self.options = options
        self.guests: list[Guest] = []
        self.networks: list[str] = []
        self.planes: list[ComposedDataPlane] = []
        self.taps: list[tuple[str, bool]] = []

    async def plane(self, metadata: MetadataUpstream | None = None) -> ComposedDataPlane:
        plane = compose(self.options, metadata)
        await plane.open()
        plane.subscribe(lambda tap, up: self.taps.append((tap, up)))
        self.planes.append(plane)
        return plane

    def guest(self, port: PortModel, *, static: bool = True) -> Guest:
        guest = Guest(port)
        self.guests.append(guest)
        self.networks.append(port.network_id)
        return guest.plug(static=static)


@pytest.fixture
def options() -> Iterator[DataPlaneOptions]:
    """The state's directory is one that dnsmasq can read after it dropped its rights."""
    folder = Path(tempfile.mkdtemp(prefix="kilonova-", dir="/tmp"))
    folder.chmod(0o755)
    yield DataPlaneOptions(state_dir=str(folder), instance="t" + secrets.token_hex(2)[:3])
    shutil.rmtree(folder)


@pytest.fixture
async def lab(options: DataPlaneOptions) -> AsyncIterator[Lab]:
    lab = Lab(options)
    try:
        yield lab
    finally:
        for guest in lab.guests:
            guest.unplug()
        if lab.planes:
            await lab.planes[-1].close(remove=True)
            for plane in lab.planes[:-1]:
                await plane.close()
    assert leftovers(options.instance, lab.networks) == []


@pytest.fixture(autouse=True)
def _lab_needs_root(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("lab") and (os.geteuid() != 0 or not shutil.which("nft")):
        pytest.skip("needs root and the data plane's tools")
