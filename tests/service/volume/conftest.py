from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.image.app import ImageService
from kilonova.volume.agent.options import VolumeAgentOptions
from kilonova.volume.agent.service import VolumeAgent
from kilonova.volume.app import VolumeService
from kilonova.volume.backends.driver import VolumeDriver
from kilonova.volume.backends.fake import FakeBackend
from kilonova.volume.backends.options import FakeBackendOptions
from kilonova.volume.backends.registry import BackendContext
from kilonova.volume.conductor.service import VolumeConductorService
from kilonova.volume.database import VolumeDatabase
from kilonova.volume.options import VolumeConductorOptions, VolumeOptions
from tests.eventually import until
from tests.support import Answer, Client, make_core

NEWEST = {"OpenStack-API-Version": "volume 3.71"}
MISSING = "00000000-0000-4000-8000-000000000000"


class Cloud:
    """The volume service with its conductor and the agents of machines, beside an image service; parts can be stopped and
    started."""

    def __init__(self, tmp_path: Path) -> None:
        self.core, self.gateway, self.client = make_core(tmp_path)
        self.database = VolumeDatabase(self.core)
        self.images = ImageService(self.core)
        self.options = VolumeOptions(backend_down_time=60.0)
        self.conductor_options = VolumeConductorOptions(watch_interval=3600, startup_grace=0)
        self.agents: dict[str, VolumeAgent] = {}
        self.service: VolumeService
        self.conductor: VolumeConductorService

    async def start(self) -> None:
        self.service = VolumeService(self.core, self.options, database=self.database)
        self.conductor = VolumeConductorService(
            self.core, self.conductor_options, self.database.database, host="conductor1"
        )
        for service in (self.images, self.service):
            self.gateway.apps[service.prefix] = service.app
        for part in (self.images, self.database, self.service, self.conductor):
            await part.start()

    async def agent(
        self, host: str = "node1", drivers: dict[str, VolumeDriver] | None = None, **fake: Any
    ) -> VolumeAgent:
        """A machine's agent, with a fake back end named `fake` unless others are given."""
        options = FakeBackendOptions(**fake)
        context = BackendContext(
            name="fake", host=host, state_dir=self.core.state_dir / host, options=options, clock=self.core.clock
        )
        agent = VolumeAgent(
            self.core, host, drivers or {"fake": FakeBackend(context)}, VolumeAgentOptions(stop_grace=0)
        )
        self.agents[host] = agent
        await agent.start()
        return agent

    async def stop(self) -> None:
        for agent in self.agents.values():
            await agent.stop()
        for part in (self.conductor, self.service, self.database, self.images):
            await part.stop()

    # ---- what tests ask

    async def __call__(self, method: str, path: str, token: str = "member", json: Any = None, **more: Any) -> Answer:
        return await self.client(method, f"/volume/v3{path}", token=token, json=json, headers=NEWEST, **more)

    async def ok(self, method: str, path: str, token: str = "member", json: Any = None) -> Any:
        answer = await self(method, path, token, json)
        assert answer.status < 300, answer.content
        return answer.json if answer.content else None

    async def volume(self, token: str = "member", wanted: str = "available", **asked: Any) -> dict[str, Any]:
        made = (await self.ok("POST", "/volumes", token, {"volume": {"size": 1} | asked}))["volume"]
        return await self.status("volumes", made["id"], wanted)

    async def snapshot(self, volume_id: str, wanted: str = "available", **asked: Any) -> dict[str, Any]:
        body = {"snapshot": {"volume_id": volume_id} | asked}
        made = (await self.ok("POST", "/snapshots", json=body))["snapshot"]
        return await self.status("snapshots", made["id"], wanted)

    async def status(self, collection: str, key: str, status: str) -> dict[str, Any]:
        """Once its status is this; `gone`: once it is not there."""

        async def there() -> dict[str, Any] | None:
            answer = await self("GET", f"/{collection}/{key}", "admin")
            if status == "gone":
                return {} if answer.status == 404 else None
            found: dict[str, Any] = answer.json[collection[:-1]]
            return found if found["status"] == status else None

        found = await until(there, f"{collection} {key} {status}", satisfies=lambda seen: seen is not None)
        return found if found is not None else {}

    async def act(self, volume_id: str, name: str, given: Any = None, token: str = "member") -> Answer:
        return await self("POST", f"/volumes/{volume_id}/action", token, {name: given or {}})


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Cloud]:
    """Without an agent."""
    made = Cloud(tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def cloud(bare: Cloud) -> Cloud:
    await bare.agent()
    return bare


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return cloud.client
