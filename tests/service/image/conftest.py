from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.image.app import ImageService
from kilonova.image.client import ImageClient
from kilonova.image.options import ImageOptions
from tests.support import Client, make_core


class Cloud:
    """An image service on a scratch directory, which can be started again on the same data."""

    def __init__(self, tmp_path: Path) -> None:
        self.core, self.gateway, self.client = make_core(tmp_path)
        self.folder = tmp_path / "images"
        self.images = ImageClient(self.core)
        self.service: ImageService

    async def start(self, options: ImageOptions | None = None, **more) -> Client:
        self.service = ImageService(self.core, options, **more)
        self.gateway.apps[self.service.prefix] = self.service.app
        await self.service.start()
        return self.client

    async def restart(self, options: ImageOptions | None = None, **more) -> Client:
        await self.service.stop()
        return await self.start(options, **more)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = Cloud(tmp_path)
    await made.start()
    yield made
    await made.service.stop()


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return cloud.client
