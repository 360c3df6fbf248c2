"""Placement through its HTTP API, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.core.db.migrate import drift
from kilonova.placement.app import PlacementService
from kilonova.placement.client import PlacementClient
from kilonova.placement.schemas.providers import InventoryIn
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
    [(b"{", "Malformed"), (b'{"name": 3}', "$.name"), (b'{"name": "x", "colour": 1}', "colour"), (b"[]", "object")],
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
