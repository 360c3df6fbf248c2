"""A server that is killed under a running API: 503 while it is unreachable, nothing half written, and no restart needed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.identity.app import IdentityService
from kilonova.identity.options import IdentityOptions
from kilonova.settings import DATABASES
from kilonova.testing.engines import MariaDB, PostgreSQL
from tests.eventually import until
from tests.service.compute_api.support import IMAGE, NEWEST, Recorder, version
from tests.service.races.conftest import Compute
from tests.support import Answer, Client, make_core

V21 = "/compute/v2.1"


@pytest.fixture(params=[PostgreSQL, MariaDB])
def server(request: pytest.FixtureRequest, engine_folder: Path) -> Iterator[Any]:
    """One that may be killed: others use the run's own."""
    folder = Path(tempfile.mkdtemp(prefix="killed-", dir=engine_folder))
    folder.chmod(0o755)
    with request.param(folder) as engine:
        yield engine


class Cloud:
    def __init__(self, client: Client, conductor: Recorder, services: list[Any]) -> None:
        self.client, self.conductor, self.services = client, conductor, services

    async def boot(self, name: str) -> Answer:
        body = {"name": name, "imageRef": IMAGE, "flavorRef": "42", "networks": "none"}
        return await self.client(
            "POST", f"{V21}/servers", token="member", json={"server": body}, headers=version(NEWEST)
        )

    async def get(self, path: str) -> Answer:
        return await self.client("GET", path, token="member", headers=version(NEWEST))

    async def login(self) -> Answer:
        user = {"name": "nobody", "domain": {"id": "default"}, "password": "x"}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        return await self.client("POST", "/identity/v3/auth/tokens", token=None, json=body)

    async def servers(self) -> set[str]:
        return {server["id"] for server in (await self.get(f"{V21}/servers")).json["servers"]}

    def listed(self) -> set[str]:
        """The servers that the conductor was asked to build."""
        return {uuid for name, values in self.conductor.seen if name == "build_servers" for uuid in values[0]}


@pytest.fixture
async def cloud(server: Any, tmp_path: Path) -> AsyncIterator[Cloud]:
    core, gateway, client = make_core(tmp_path)
    core = replace(core, database_urls={name: await asyncio.to_thread(server.url, name) for name in DATABASES})
    services = [Compute(core), IdentityService(core, IdentityOptions(password_memory_kib=8, password_passes=1))]
    for service in services:
        gateway.apps[service.prefix] = service.app
        await service.start()
    conductor = Recorder()
    await core.bus.serve(ConductorAPI, conductor, host="c1")  # type: ignore[arg-type]
    yield Cloud(client, conductor, services)
    for service in services:
        await service.stop()


def refused(answer: Answer, key: str) -> bool:
    body = answer.json[key]
    assert (answer.status, body["code"]) == (503, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert (
        body["message"]
        == f"The service is unavailable: the {'identity' if key == 'error' else 'compute'} database is unreachable"
    )
    return True


async def test_unreachable_and_reachable_again(cloud: Cloud, server: Any) -> None:
    assert (await cloud.boot("before")).status == 202
    await asyncio.to_thread(server.kill)
    assert refused(await cloud.boot("during"), "serviceUnavailable")
    assert refused(await cloud.get(f"{V21}/servers"), "serviceUnavailable")
    assert refused(await cloud.login(), "error")
    await asyncio.to_thread(server.start)
    assert (await cloud.boot("after")).status == 202
    assert (await cloud.login()).status == 401
    assert len(await cloud.servers()) == 2


async def test_killed_while_servers_are_recorded(cloud: Cloud, server: Any) -> None:
    """Each is there with all that belongs to it, and on its way to the conductor, or not at all."""
    answers: list[Answer] = []
    dead = asyncio.Event()

    async def keep_booting(number: int) -> None:
        while not dead.is_set():
            answers.append(await cloud.boot(f"s{number}"))

    working = [asyncio.ensure_future(keep_booting(number)) for number in range(4)]
    await until(lambda: len(answers) >= 5)
    await asyncio.to_thread(server.kill)
    await until(lambda: answers[-1].status == 503)
    dead.set()
    await asyncio.gather(*working)
    accepted = {answer.json["server"]["id"] for answer in answers if answer.status == 202}
    assert {answer.status for answer in answers} <= {202, 403, 503}
    await asyncio.to_thread(server.start)
    there = await cloud.servers()
    assert accepted <= there
    await until(lambda: cloud.listed() == there)
    for server_id in there:
        actions = (await cloud.get(f"{V21}/servers/{server_id}/os-instance-actions")).json["instanceActions"]
        assert [action["action"] for action in actions] == ["create"]
