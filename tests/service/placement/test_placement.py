"""Placement through its HTTP API, on a real database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.core.db.migrate import drift
from kilonova.placement.app import PlacementService
from kilonova.placement.client import PlacementClient
from kilonova.placement.resources.providers.schemas import InventoryIn
from tests.databases import statements_of
from tests.support import PROJECT, Client, make_core

HOST = "11111111-1111-4111-8111-111111111111"
NEWEST = {"OpenStack-API-Version": "placement 1.39"}


def consumer(n: int) -> str:
    return f"22222222-2222-4222-8222-{n:012d}"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[tuple[Client, PlacementClient, PlacementService]]:
    core, gateway, client = make_core(tmp_path)
    service = PlacementService(core)
    gateway.apps[service.prefix] = service.app
    await service.start()
    placement = PlacementClient(core)
    await placement.ensure_provider(HOST, "host-1")
    await placement.set_inventories(
        HOST, {"VCPU": InventoryIn(total=4, allocation_ratio=2.0), "MEMORY_MB": InventoryIn(total=1024)}
    )
    yield client, placement, service
    await service.stop()


async def test_tables_and_migrations_agree(cloud):
    assert await drift(cloud[2].database) == []


async def test_claims_never_over_commit(cloud):
    _, placement, _ = cloud
    wanted = {"VCPU": 1, "MEMORY_MB": 128}
    results = await asyncio.gather(
        *(placement.claim(consumer(n), HOST, wanted, project_id=PROJECT, user_id="u") for n in range(20))
    )
    assert sum(results) == 8  # 4 × 2.0 vcpus, 1024 MB / 128
    (summary,) = await placement.summaries()
    assert summary.resources["VCPU"].used == 8
    assert summary.resources["MEMORY_MB"].used == 1024


async def test_a_repeated_claim_is_the_same_claim(cloud):
    client, placement, _ = cloud
    for _ in range(3):
        assert await placement.claim(consumer(1), HOST, {"VCPU": 2}, project_id=PROJECT, user_id="u")
    usages = await client("GET", f"/placement/resource_providers/{HOST}/usages")
    assert usages.json["usages"] == {"MEMORY_MB": 0, "VCPU": 2}
    await placement.release(consumer(1))
    await placement.release(consumer(1))
    usages = await client("GET", f"/placement/resource_providers/{HOST}/usages")
    assert usages.json["usages"] == {"MEMORY_MB": 0, "VCPU": 0}


async def test_a_claim_that_does_not_fit_changes_nothing(cloud):
    client, placement, _ = cloud
    assert not await placement.claim(consumer(1), HOST, {"VCPU": 1, "MEMORY_MB": 4096}, project_id=PROJECT, user_id="u")
    shown = await client("GET", f"/placement/allocations/{consumer(1)}", headers=NEWEST)
    assert shown.json == {"allocations": {}}
    usages = await client("GET", f"/placement/resource_providers/{HOST}/usages")
    assert usages.json["usages"]["VCPU"] == 0


async def test_old_generation_is_refused(cloud):
    client, _, _ = cloud
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 1}}}
    refused = await client("PUT", f"/placement/resource_providers/{HOST}/inventories", json=body)
    assert refused.status == 409
    assert refused.json["errors"][0]["detail"] == "resource provider generation conflict"


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("nobody", 401), ("member", 403), ("foreign", 403), ("admin", 200)]
)
async def test_only_services_and_admins_read_providers(cloud, token, status):
    client, _, _ = cloud
    answer = await client("GET", "/placement/resource_providers", token=token)
    assert answer.status == status


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"{", "Malformed"), (b'{"name": 3}', "name"), (b'{"name": "x", "colour": 1}', "colour"), (b"[]", "an object")],
)
async def test_bad_bodies_name_the_field(cloud, content, part):
    client, _, _ = cloud
    answer = await client("POST", "/placement/resource_providers", content=content)
    assert answer.status == 400
    assert part in answer.json["errors"][0]["detail"]


async def test_microversions(cloud):
    client, _, _ = cloud
    old = await client("GET", f"/placement/resource_providers/{HOST}")
    assert "parent_provider_uuid" not in old.json
    new = await client("GET", f"/placement/resource_providers/{HOST}", headers=NEWEST)
    assert new.json["root_provider_uuid"] == HOST
    assert new.headers["openstack-api-version"] == "placement 1.39"
    refused = await client("GET", "/placement/resource_providers", headers={"OpenStack-API-Version": "placement 9.1"})
    assert refused.status == 406


async def held(client: Client, n: int) -> dict[str, int]:
    shown = await client("GET", f"/placement/allocations/{consumer(n)}", headers=NEWEST)
    return shown.json["allocations"].get(HOST, {}).get("resources", {})


async def test_many_give_back_at_once(cloud):
    client, placement, service = cloud
    for n in range(1, 7):
        assert await placement.claim(consumer(n), HOST, {"VCPU": 1, "MEMORY_MB": n}, project_id=PROJECT, user_id="u")
    sent = await statements_of(service.database)
    costs = []
    for several in ([1], [2, 3, 4, 5]):
        sent.clear()
        await placement.release_many({consumer(n): (PROJECT, "u") for n in several})
        costs.append(len(sent))
    assert costs[0] == costs[1]
    await placement.release_many({consumer(n): (PROJECT, "u") for n in (1, 99)})  # a consumer without allocations
    (summary,) = await placement.summaries()
    assert {name: usage.used for name, usage in summary.resources.items()} == {"VCPU": 1, "MEMORY_MB": 6}
    assert await placement.consumers_of(HOST) == [consumer(6)]
    assert await held(client, 6) == {"VCPU": 1, "MEMORY_MB": 6}


async def test_one_gives_back_what_another_takes(cloud):
    """Several consumers in one request: emptied, changed and new; all of it, or nothing."""
    client, placement, _ = cloud
    for n, vcpus in ((1, 5), (2, 3)):
        assert await placement.claim(consumer(n), HOST, {"VCPU": vcpus}, project_id=PROJECT, user_id="u")

    def wanted(vcpus: int, generation: int | None) -> dict[str, Any]:
        allocations = {HOST: {"resources": {"VCPU": vcpus}}} if vcpus else {}
        return {"allocations": allocations, "project_id": PROJECT, "user_id": "u", "consumer_generation": generation,
                "consumer_type": "INSTANCE"}  # fmt: skip

    async def post(*vcpus: int, generation: int = 1) -> int:
        body = {consumer(n): wanted(v, generation if n < 3 else None) for n, v in enumerate(vcpus, 1)}
        return (await client("POST", "/placement/allocations", json=body, headers=NEWEST)).status

    for refused in (await post(0, 4, 5), await post(0, 4, 1, generation=7)):
        assert refused == 409
        assert [await held(client, n) for n in (1, 2, 3)] == [{"VCPU": 5}, {"VCPU": 3}, {}]
    assert await post(0, 4, 4) == 204
    assert [await held(client, n) for n in (1, 2, 3)] == [{}, {"VCPU": 4}, {"VCPU": 4}]
    (summary,) = await placement.summaries()
    assert summary.resources["VCPU"].used == 8


async def test_the_account_of_compute_hosts_has_no_part_in_it(cloud):
    """Hosts report to the conductor, which claims and gives back for them."""
    client, placement, service = cloud
    await placement.claim(consumer(1), HOST, {"VCPU": 1}, project_id=PROJECT, user_id="u")
    before = await placement.allocations(consumer(1))
    asked = 0
    for route in service.routes:
        path = re.sub(r"\{\w+:str\}", lambda _: HOST, route.path)
        if route.public:
            continue
        answer = await client(route.method, "/placement" + path, token="host", headers=NEWEST, json={})
        assert answer.status in (403, 404), (route.method, path, answer.status)
        asked += 1
    assert asked > 10
    assert await placement.allocations(consumer(1)) == before
