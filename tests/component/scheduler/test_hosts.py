"""What the scheduler knows of hosts: after the first reading only what changed is read, and nothing that changed is missed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import delete, update

from kilonova.compute import tables
from kilonova.compute.resources.aggregates.logic import AggregateLogic
from kilonova.compute.scheduler import hosts as module
from kilonova.compute.store import hosts as store
from kilonova.compute.store import services
from tests.component.conductor.lab import CTX, Lab, report


@pytest.fixture
async def known(lab: Lab) -> Lab:
    """Three hosts, read once."""
    for number in (1, 2, 3):
        await lab.host(f"host-{number}", memory_mb=8192)
    assert list(await lab.scheduler.hosts.shared()) == ["host-1", "host-2", "host-3"]
    return lab


@pytest.fixture
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read twice. What the machine holds up may be missed then, so it is only for tests of what is not read."""
    monkeypatch.setattr(module, "SLACK", 0.0)


async def look(lab: Lab, host: str = "host-1") -> Any:
    return (await lab.scheduler.hosts.shared()).get(host)


async def provider(lab: Lab, host: str) -> str:
    return next(found.uuid for found in await lab.placement.providers() if found.name == host)


async def change_service(lab: Lab, host: str, **values: Any) -> None:
    async with lab.database.transaction() as tx:
        await tx.connection.execute(update(tables.services).where(tables.services.c.host == host).values(**values))


async def test_only_what_changed_is_read_again(known: Lab, no_slack: None, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    real = store.states

    async def states(*given: Any, **more: Any) -> Any:
        rows = await real(*given, **more)
        read.append([row.host for row in rows])
        return rows

    monkeypatch.setattr(store, "states", states)
    await known.scheduler.hosts.shared()
    await known.conductor.report_host(CTX, report("host-2", memory_mb=4096))
    assert (await look(known, "host-2")).memory_mb_total == 4096
    assert read == [[], ["host-2"]]


async def test_what_others_claim_and_give_back_is_seen(known: Lab) -> None:
    server, node = known.clock.uuid(), await provider(known, "host-1")
    free = (await look(known)).memory_mb_free
    assert await known.placement.claim(server, node, {"MEMORY_MB": 1000}, project_id="p", user_id="u")
    assert (await look(known)).memory_mb_free == free - 1000
    others = {known.clock.uuid(): node for _ in range(2)}
    assert await known.placement.claim_many(others, {"MEMORY_MB": 100}, project_id="p", user_id="u")
    assert (await look(known)).memory_mb_free == free - 1200
    for consumer in (server, *others):
        await known.placement.release(consumer)
    assert (await look(known)).memory_mb_free == free


async def test_new_hosts_come_last(known: Lab) -> None:
    await known.host("host-0")
    assert list(await known.scheduler.hosts.shared()) == ["host-1", "host-2", "host-3", "host-0"]


async def test_zones_change(known: Lab) -> None:
    aggregates = AggregateLogic(known.database, known.clock)
    (row, _) = await aggregates.create("east", "east")
    for host, zone in (("host-1", "east"), ("host-2", "nova")):
        if zone == "east":
            await aggregates.add_host(row.id, host)
        assert (await look(known, host)).availability_zone == zone
    await aggregates.update(row.id, None, {"ssd": "yes"})
    assert (await look(known)).aggregates == [{"availability_zone": "east", "ssd": "yes"}]
    await aggregates.remove_host(row.id, "host-1")
    await aggregates.add_host(row.id, "host-2")  # as many as before
    assert [state.availability_zone for state in (await known.scheduler.hosts.shared()).values()] == [
        "nova",
        "east",
        "nova",
    ]


async def test_a_disabled_host_is_seen_at_once(known: Lab) -> None:
    async with known.database.transaction() as tx:
        found = await services.find(tx.connection, host="host-1")
        await services.change(tx.connection, found[0].id, {"disabled": True, "changed_at": known.now()})
    assert not (await look(known)).enabled


async def test_a_host_that_falls_silent_and_comes_back(
    known: Lab, no_slack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await change_service(known, "host-1", last_seen=known.now() - dt.timedelta(hours=1))
    assert (await look(known)).up, "a heartbeat is no change"
    monkeypatch.setattr(module, "LIVENESS_EVERY", 0.0)
    assert not (await look(known)).up
    monkeypatch.setattr(module, "LIVENESS_EVERY", 3600.0)
    await change_service(known, "host-1", last_seen=known.now())
    assert (await look(known)).up, "a host that is down is read every time"


async def test_a_host_that_is_gone_is_forgotten(known: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async with known.database.transaction() as tx:
        await tx.connection.execute(delete(tables.services).where(tables.services.c.host == "host-1"))
    monkeypatch.setattr(module, "LIVENESS_EVERY", 0.0)
    assert list(await known.scheduler.hosts.shared()) == ["host-2", "host-3"]


async def test_all_is_read_anew_now_and_then(known: Lab, no_slack: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change without a time is seen then."""
    async with known.database.transaction() as tx:
        await tx.connection.execute(update(tables.compute_nodes).values(vcpus=77, updated_at=None))
    assert (await look(known)).vcpus_total != 77
    monkeypatch.setattr(module, "WHOLE_EVERY", 0.0)
    assert (await look(known)).vcpus_total == 77
