"""Heartbeats of hosts and components."""

from __future__ import annotations

import asyncio

import pytest

from kilonova.compute import tables
from kilonova.compute.conductor.heartbeat import CONDUCTOR, SCHEDULER, Heartbeat
from kilonova.compute.models import HostStats
from kilonova.core import errors
from tests.component.conductor.lab import CTX, report
from tests.databases import statements_of
from tests.eventually import PATIENCE, until


async def test_a_new_host_is_made_known(lab):
    await lab.client.report_host(CTX, report("host-1", cpu_ratio=4.0, reserved_memory_mb=512))
    (service,) = await lab.rows(tables.services)
    (node,) = await lab.rows(tables.compute_nodes)
    assert (service.host, service.binary, service.disabled) == ("host-1", "nova-compute", False)
    assert (node.vcpus, node.memory_mb, node.facts["cpu_arch"] if node.facts else None) in [
        (8, 8192, None),
        (8, 8192, "x86_64"),
    ]
    (summary,) = await lab.placement.summaries()
    assert summary.uuid == node.uuid
    assert {name: usage.capacity for name, usage in summary.resources.items()} == {
        "VCPU": 32,
        "MEMORY_MB": 7680,
        "DISK_GB": 100,
    }


async def test_unchanged_heartbeats_cost_one_statement_together(lab):
    reports = [report(f"host-{n}") for n in range(1, 31)]
    await asyncio.gather(*(lab.conductor.report_host(CTX, r) for r in reports))
    before = [row.last_seen for row in await lab.rows(tables.services)]
    sent = await statements_of(lab.database)
    await asyncio.gather(*(lab.conductor.report_host(CTX, r) for r in reports))
    await lab.conductor.reports.flush()
    assert 0 < len(sent) <= 1
    after = [row.last_seen for row in await lab.rows(tables.services)]
    assert all(new > old for new, old in zip(after, before, strict=True))


async def test_changed_load_is_written_with_the_batch(lab):
    await lab.conductor.report_host(CTX, report("host-1"))
    await lab.conductor.report_host(CTX, report("host-1", stats=HostStats(running_vms=3)))
    await until(lambda: lab.rows(tables.compute_nodes), satisfies=lambda found: found[0].stats.get("running_vms") == 3)


async def test_changed_capacity_is_written_at_once(lab):
    await lab.conductor.report_host(CTX, report("host-1"))
    await lab.conductor.report_host(CTX, report("host-1", memory_mb=1024))
    (node,) = await lab.rows(tables.compute_nodes)
    (summary,) = await lab.placement.summaries()
    assert (node.memory_mb, summary.resources["MEMORY_MB"].capacity) == (1024, 1024)


async def test_a_removed_service_is_made_again(lab):
    await lab.conductor.report_host(CTX, report("host-1"))
    async with lab.database.transaction() as tx:
        await tx.connection.execute(tables.services.delete())
    await lab.conductor.report_host(CTX, report("host-1"))
    await lab.conductor.reports.flush()
    await lab.conductor.report_host(CTX, report("host-1"))
    assert len(await lab.rows(tables.services)) == 1


async def test_a_host_made_anew_takes_over_its_name(lab):
    await lab.host("host-1")
    new = "99999999-0000-4000-8000-000000000001"
    await lab.conductor.report_host(CTX, report("host-1", node_uuid=new))
    assert [p.uuid for p in await lab.placement.providers()] == [new]
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    with pytest.raises(errors.Conflict):  # servers are still allocated from the old one
        await lab.conductor.report_host(CTX, report("host-1"))


async def test_components_have_services_too(lab):
    heartbeat = Heartbeat(lab.database, lab.clock, "here", (CONDUCTOR, SCHEDULER), interval=0.01)
    await heartbeat.start()
    first = {row.binary: row.last_seen for row in await lab.rows(tables.services)}
    async with lab.database.transaction() as tx:
        await tx.connection.execute(tables.services.delete().where(tables.services.c.binary == "nova-conductor"))
    assert set(first) == {"nova-conductor", "nova-scheduler"}
    async with asyncio.timeout(PATIENCE):  # made again, and seen again
        while True:
            second = {row.binary: row.last_seen for row in await lab.rows(tables.services)}
            if set(first) == set(second) and second["nova-scheduler"] > first["nova-scheduler"]:
                break
            await asyncio.sleep(0.01)
    await heartbeat.stop()


async def test_a_power_state_that_cannot_be_written_is_an_error_for_the_host(lab):
    """The host has the only copy of the report, so it must know that it has to repeat it."""
    real = lab.database.transaction

    def locked():
        raise errors.ServiceUnavailable(reason="locked")

    lab.database.transaction = locked
    with pytest.raises(errors.ServiceUnavailable):
        await lab.client.power_state_seen(CTX, "host-1", lab.clock.uuid(), 4)
    lab.database.transaction = real


async def _removed_with_a_claim(lab) -> tuple[str, str]:
    """A host whose service an operator deleted: its provider, and a server that holds some of it."""
    await lab.host("host-1")
    (provider,) = [row.uuid for row in await lab.rows(tables.compute_nodes)]
    async with lab.database.transaction() as tx:
        await tx.connection.execute(tables.compute_nodes.delete())
        await tx.connection.execute(tables.services.delete())
    server = lab.clock.uuid()
    assert await lab.placement.claim(server, provider, {"VCPU": 1}, project_id="p", user_id="u")
    return provider, server


async def test_the_provider_of_a_removed_host_goes_when_its_last_claim_does(lab):
    provider, server = await _removed_with_a_claim(lab)
    removing = asyncio.ensure_future(lab.client.host_removed(CTX, "host-1", provider))
    await asyncio.sleep(0.3)
    assert [found.uuid for found in await lab.placement.providers()] == [provider]
    await lab.placement.release(server)
    await removing
    await until(lab.placement.providers, satisfies=lambda found: not found)


async def test_a_removed_host_that_comes_back_keeps_its_provider(lab):
    provider, server = await _removed_with_a_claim(lab)
    removing = asyncio.ensure_future(lab.conductor.host_removed(CTX, "host-1", provider))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(PATIENCE):
        while not await lab.rows(tables.compute_nodes):
            await lab.conductor.report_host(CTX, report("host-1"))
            await asyncio.sleep(0.02)
    await lab.placement.release(server)
    await removing
    assert [found.uuid for found in await lab.placement.providers()] == [provider]
