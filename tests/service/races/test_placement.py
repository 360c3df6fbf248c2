"""Claims that meet on one provider, one consumer, or in a circle."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from kilonova.placement.resources.allocations.logic import AllocationLogic
from tests.service.races.conftest import Collisions, Replicas, asked
from tests.support import PROJECT

VERSION = {"OpenStack-API-Version": "placement 1.39"}


def host(n: int) -> str:
    return f"11111111-1111-4111-8111-{n:012d}"


def consumer(n: int) -> str:
    return f"22222222-2222-4222-8222-{n:012d}"


async def provide(placement: Replicas, n: int, **totals: int) -> None:
    body: dict[str, Any] = {"uuid": host(n), "name": f"host-{n}"}
    made = await placement[0]("POST", "/placement/resource_providers", json=body, headers=VERSION)
    assert made.status == 200, made.content
    body = {"resource_provider_generation": 0, "inventories": {name: {"total": t} for name, t in totals.items()}}
    path = f"/placement/resource_providers/{host(n)}/inventories"
    assert (await placement[0]("PUT", path, json=body, headers=VERSION)).status == 200


def claim(n: int, *hosts: int, generation: int | None = None, **resources: int) -> dict[str, Any]:
    body = {
        "allocations": {host(h): {"resources": resources} for h in hosts}, "project_id": PROJECT, "user_id": "u",
        "consumer_generation": generation, "consumer_type": "INSTANCE",
    }  # fmt: skip
    path = f"/placement/allocations/{consumer(n)}"
    return {"method": "PUT", "path": path, "token": "service", "json": body, "headers": VERSION}


def release(n: int) -> dict[str, Any]:
    path = f"/placement/allocations/{consumer(n)}"
    return {"method": "DELETE", "path": path, "token": "service", "headers": VERSION}


async def used(placement: Replicas, n: int) -> dict[str, int]:
    answer = await placement[1]("GET", f"/placement/resource_providers/{host(n)}/usages", headers=VERSION)
    found: dict[str, int] = answer.json["usages"]
    return found


async def test_exactly_as_many_land_as_fit(placement: Replicas) -> None:
    await provide(placement, 1, VCPU=20, MEMORY_MB=20 * 512)
    wanted = [claim(n, 1, VCPU=1, MEMORY_MB=512) for n in range(50)]
    assert await placement.statuses(*wanted) == Counter({204: 20, 409: 30})
    assert await used(placement, 1) == {"VCPU": 20, "MEMORY_MB": 20 * 512}


async def test_what_is_released_twice_is_given_back_once(placement: Replicas) -> None:
    await provide(placement, 1, VCPU=40)
    assert await placement.statuses(*(claim(n, 1, VCPU=2) for n in range(20))) == {204: 20}
    answers = await placement.statuses(*(release(n // 4) for n in range(40)))  # ten of them, four times each
    assert answers == Counter({204: 10, 404: 30})
    assert await used(placement, 1) == {"VCPU": 20}


async def test_one_consumer_claimed_by_many_holds_one_claim(placement: Replicas) -> None:
    for n in (1, 2):
        await provide(placement, n, VCPU=100)
    statuses = await placement.statuses(*(claim(1, 1 + n % 2, VCPU=3) for n in range(12)))
    assert statuses == Counter({204: 1, 409: 11})
    assert sorted([(await used(placement, n))["VCPU"] for n in (1, 2)]) == [0, 3]


async def test_the_same_claim_made_by_many_takes_its_room_once(placement: Replicas) -> None:
    """The others get the error that the consumer exists, not that the host is full."""
    await provide(placement, 1, VCPU=1)
    answers = await placement.all_at_once(*[claim(1, 1, VCPU=1)] * 8)
    assert Counter(answer.status for answer in answers) == Counter({204: 1, 409: 7})
    assert all(
        "consumer generation" in answer.json["errors"][0]["detail"] for answer in answers if answer.status == 409
    )


async def test_inventory_is_not_taken_from_under_a_claim(placement: Replicas) -> None:
    await provide(placement, 1, VCPU=1, DISK_GB=1)
    body = {"resource_provider_generation": 1, "inventories": {"VCPU": {"total": 1}}}
    path = f"/placement/resource_providers/{host(1)}/inventories"
    drop = {"method": "PUT", "path": path, "json": body, "headers": VERSION}
    both = {answer.status for answer in await placement.all_at_once(claim(1, 1, DISK_GB=1), drop)}
    left = await used(placement, 1)
    assert (both, left) in (({204, 409}, {"VCPU": 0, "DISK_GB": 1}), ({200, 409}, {"VCPU": 0}))


async def test_claims_that_go_round_in_a_circle(
    placement: Replicas, collisions: Collisions, monkeypatch: Any, database_kind: str
) -> None:
    """Each holds the provider that the other one moves to: a deadlock, which the engine ends and we do again."""
    for n in (1, 2):
        await provide(placement, n, VCPU=10)
    assert await placement.statuses(claim(1, 1, VCPU=1), claim(2, 2, VCPU=1)) == {204: 2}
    real, inside = AllocationLogic._claim, 0

    async def claim_together(*args: Any) -> Any:
        nonlocal inside
        inside += 1
        async with asyncio.timeout(0.5 if database_kind == "sqlite" else 20):  # there the other can't get so far
            while inside < 2:
                await asyncio.sleep(0.01)
        return await real(*args)

    async def on_sqlite(*args: Any) -> Any:
        try:
            return await claim_together(*args)
        except TimeoutError:
            return await real(*args)

    monkeypatch.setattr(AllocationLogic, "_claim", on_sqlite)
    moves = claim(1, 2, generation=1, VCPU=1), claim(2, 1, generation=1, VCPU=1)
    assert await placement.statuses(*moves) == {204: 2}
    assert [await used(placement, n) for n in (1, 2)] == [{"VCPU": 1}, {"VCPU": 1}]
    assert (collisions.count > 0) == (database_kind != "sqlite")


async def test_many_that_move_about_keep_the_sums_right(placement: Replicas) -> None:
    for n in range(4):
        await provide(placement, n, VCPU=100, MEMORY_MB=100)
    assert await placement.statuses(*(claim(n, n % 4, VCPU=1, MEMORY_MB=2) for n in range(12))) == {204: 12}
    for turn in range(1, 4):
        moves = [claim(n, (n + turn) % 4, generation=turn, VCPU=1, MEMORY_MB=2) for n in range(12)]
        assert await placement.statuses(*moves) == {204: 12}
    assert [await used(placement, n) for n in range(4)] == [{"VCPU": 3, "MEMORY_MB": 6}] * 4
    assert await placement.statuses(*asked("DELETE", [release(n)["path"] for n in range(12)], "service")) == {204: 12}
    assert [await used(placement, n) for n in range(4)] == [{"VCPU": 0, "MEMORY_MB": 0}] * 4
