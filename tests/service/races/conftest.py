"""Two replicas of a service on one database, as two API servers are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from kilonova.compute.app import ComputeApiService
from kilonova.compute.database import ComputeDatabase
from kilonova.compute.options import ComputeOptions, Quotas
from kilonova.core.service import Core
from kilonova.identity.app import IdentityService
from kilonova.identity.options import IdentityOptions
from kilonova.image.app import ImageService
from kilonova.image.options import ImageOptions
from kilonova.network.app import NetworkService
from kilonova.network.options import NetworkOptions
from kilonova.placement.app import PlacementService
from tests.service.compute_api.support import Images, Networks, Projects
from tests.support import Answer, Client, make_core

Build = Callable[[Core], Any]


class Replicas:
    """`await replicas[n]("GET", path, …)` asks one of them, `all_at_once` spreads requests over both."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.services: list[Any] = []

    def __getitem__(self, n: int) -> Client:
        return self.clients[n % len(self.clients)]

    async def all_at_once(self, *requests: dict[str, Any]) -> Sequence[Answer]:
        return await asyncio.gather(*(self[n](**request) for n, request in enumerate(requests)))

    async def statuses(self, *requests: dict[str, Any]) -> Counter[int]:
        return Counter(answer.status for answer in await self.all_at_once(*requests))


def asked(method: str, paths: Iterable[str], token: str = "member", **more: Any) -> list[dict[str, Any]]:
    return [{"method": method, "path": path, "token": token, **more} for path in paths]


@pytest.fixture
async def replicate(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Replicas]]]:
    made: list[Any] = []

    async def replicate(build: Build) -> Replicas:
        replicas = Replicas()
        for _ in range(2):
            core, gateway, client = make_core(tmp_path)
            service = build(core)
            gateway.apps[service.prefix] = service.app
            made.append(service)
            await service.start()
            replicas.clients.append(client)
            replicas.services.append(service)
        return replicas

    yield replicate
    for service in made:
        await service.stop()


@pytest.fixture
async def placement(replicate: Callable[[Build], Awaitable[Replicas]]) -> Replicas:
    return await replicate(PlacementService)


@pytest.fixture
async def network(replicate: Callable[[Build], Awaitable[Replicas]]) -> Replicas:
    return await replicate(lambda core: NetworkService(core, NetworkOptions(quota_port=10, quota_security_group=4)))


@pytest.fixture
async def image(replicate: Callable[[Build], Awaitable[Replicas]]) -> Replicas:
    return await replicate(lambda core: ImageService(core, ImageOptions(max_members=4)))


@pytest.fixture
async def identity(replicate: Callable[[Build], Awaitable[Replicas]]) -> Replicas:
    options = IdentityOptions(password_memory_kib=8, password_passes=1, max_application_credentials=4)
    return await replicate(lambda core: IdentityService(core, options))


class Compute:
    """The API with its database, as one process has them."""

    prefix = "/compute"
    OPTIONS = ComputeOptions(quotas=Quotas(instances=7, key_pairs=5, server_groups=3))

    def __init__(self, core: Core) -> None:
        self.held = ComputeDatabase(core)
        self.api = ComputeApiService(
            core, self.OPTIONS, database=self.held.database, images=Images(), networks=Networks(), projects=Projects()
        )
        self.app = self.api.app

    async def start(self) -> None:
        await self.held.start()
        await self.api.start()

    async def stop(self) -> None:
        await self.api.stop()
        await self.held.stop()


@pytest.fixture
async def compute(replicate: Callable[[Build], Awaitable[Replicas]]) -> Replicas:
    return await replicate(Compute)


class Collisions:
    """How many transactions were undone as another one was in the way."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries = entries

    @property
    def count(self) -> int:
        return sum(entry["event"] == "transaction conflict" for entry in self.entries)


@pytest.fixture
def collisions() -> Iterable[Collisions]:
    with structlog.testing.capture_logs() as entries:
        yield Collisions(entries)
