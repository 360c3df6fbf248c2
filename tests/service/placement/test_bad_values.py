"""Values that no column holds: refused, whatever the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kilonova.placement.app import PlacementService
from kilonova.placement.client import PlacementClient
from tests.support import PROJECT, Client, make_core

HOST, CONSUMER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
P, INVENTORIES = "/placement/resource_providers", f"/placement/resource_providers/{HOST}/inventories"
NEWEST = {"OpenStack-API-Version": "placement 1.39"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    core, gateway, client = make_core(tmp_path)
    service = PlacementService(core)
    gateway.apps[service.prefix] = service.app
    await service.start()
    await PlacementClient(core).ensure_provider(HOST, "host-1")
    yield client
    await service.stop()


def inventory(**more: object) -> dict[str, object]:
    return {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4} | more}}


def allocation(**more: object) -> dict[str, object]:
    held = {HOST: {"resources": {"VCPU": 1}}}
    base = {
        "allocations": held,
        "project_id": PROJECT,
        "user_id": "u",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
    return base | more


BAD = [
    ("POST", P, {"name": "n", "uuid": HOST + "\n"}),
    ("POST", P, {"name": "n", "uuid": "x" * 300}),
    ("POST", P, {"name": "n" * 201}),
    ("POST", P, {"name": ""}),
    ("POST", P, {"name": "n", "parent_provider_uuid": CONSUMER}),
    ("PUT", INVENTORIES, inventory() | {"resource_provider_generation": 10**30}),
    ("PUT", INVENTORIES, inventory() | {"resource_provider_generation": -1}),
    ("PUT", INVENTORIES, inventory(total=0)),
    ("PUT", INVENTORIES, inventory(total=10**12)),
    ("PUT", INVENTORIES, inventory(allocation_ratio=0)),
    ("PUT", INVENTORIES, inventory(allocation_ratio=1e39)),
    ("PUT", INVENTORIES, inventory(reserved=5)),
    ("PUT", INVENTORIES, inventory() | {"inventories": {"COLOUR": {"total": 1}}}),
    ("PUT", INVENTORIES, inventory() | {"inventories": {"CUSTOM_" + "X" * 300: {"total": 1}}}),
    ("PUT", INVENTORIES, inventory() | {"inventories": {"CUSTOM_X\n": {"total": 1}}}),
    ("PUT", f"/placement/allocations/{'x' * 300}", allocation()),
    ("PUT", "/placement/allocations/x", allocation()),
    ("POST", "/placement/allocations", {"x" * 300: allocation()}),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(project_id="p" * 256)),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(user_id="")),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(consumer_type="X" * 300)),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(consumer_type="small")),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(allocations={HOST: {"resources": {"VCPU": 0}}})),
    ("PUT", f"/placement/allocations/{CONSUMER}", allocation(allocations={HOST: {"resources": {"VCPU": 10**12}}})),
    ("GET", "/placement/provider_summaries?changed_within=" + "9" * 400, None),
    ("GET", "/placement/provider_summaries?changed_within=1e9", None),
    ("GET", "/placement/provider_summaries?changed_within=%D9%A1", None),
    ("GET", "/placement/provider_summaries?changed_within=.", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
async def test_what_no_column_holds(client, method, path, body):
    answer = await client(method, path, json=body, headers=NEWEST)
    assert answer.status == 400, (answer.status, answer.content)
    shown = await client("GET", INVENTORIES, headers=NEWEST)
    assert shown.json == {"resource_provider_generation": 0, "inventories": {}}
    listed = (await client("GET", P, headers=NEWEST)).json["resource_providers"]
    assert [provider["uuid"] for provider in listed] == [HOST]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, f"/placement/{path}")
        for method in ("GET", "PUT", "DELETE")
        for path in (
            "allocations/x",
            f"allocations/{'x' * 300}",
            "resource_providers/x",
            f"resource_providers/{'x' * 300}",
        )
    ],
)
async def test_ids_that_can_not_be(client, method, path):
    body = {"name": "n"} if method == "PUT" and "providers" in path else allocation() if method == "PUT" else None
    answer = await client(method, path, json=body, headers=NEWEST)
    empty = method == "GET" and "allocations" in path  # what holds nothing is not missing
    assert answer.status in ((200,) if empty else (400, 404)), answer.content


async def test_the_largest_inventory(client):
    """Its capacity is what a number can be."""
    answer = await client("PUT", INVENTORIES, json=inventory(total=2**31 - 1, allocation_ratio=3e38), headers=NEWEST)
    assert answer.status == 200, answer.content
    taken = allocation(allocations={HOST: {"resources": {"VCPU": 2**31 - 1}}})
    assert (await client("PUT", f"/placement/allocations/{CONSUMER}", json=taken, headers=NEWEST)).status == 204
    one_more = await client("PUT", f"/placement/allocations/{HOST}", json=allocation(), headers=NEWEST)
    assert one_more.status == 409
    usages = await client("GET", f"{P}/{HOST}/usages", headers=NEWEST)
    assert usages.json["usages"] == {"VCPU": 2**31 - 1}
