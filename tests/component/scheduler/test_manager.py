"""The scheduler with real hosts, claims and groups."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from sqlalchemy import update

from kilonova.compute import models, tables
from kilonova.core import errors
from tests.component.conductor.lab import CTX, FLAVOR
from tests.databases import statements_of
from tests.support import PROJECT


async def select(lab, count=1, spec=None, scheduler=None):
    uuids = [lab.clock.uuid() for _ in range(count)]
    return await (scheduler or lab.scheduler).select_destinations(CTX, uuids, spec or lab.spec(), PROJECT, "u")


async def test_selection_has_host_alternates_claim_and_reasons(lab):
    for number in range(1, 5):
        await lab.host(f"host-{number}", memory_mb=8192 - number)
    await lab.aggregate("zone", ["host-1"], availability_zone="east")
    (made,) = await select(lab)
    assert (made.host, made.node, made.availability_zone) == ("host-1", "host-1", "east")
    assert made.alternates == ["host-2", "host-3"]
    assert made.claim_began <= made.claim_ended
    decision = made.decision
    assert (decision.chosen, decision.candidates) == ("host-1", 4)
    assert decision.filters[0].filter == "ComputeFilter"
    assert decision.seconds > 0
    held = await lab.placement.allocations(made.server_uuid)
    (allocation,) = held.allocations.values()
    assert allocation.resources == {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 1}
    assert (held.project_id, held.user_id) == (PROJECT, "u")


@pytest.mark.parametrize(
    ("flavor", "image", "wanted"),
    [
        ({"root_gb": 5, "ephemeral_gb": 2, "swap_mb": 1025}, True, {"VCPU": 1, "MEMORY_MB": 1024, "DISK_GB": 9}),
        ({"root_gb": 5}, False, {"VCPU": 1, "MEMORY_MB": 1024}),
        ({"root_gb": 0}, True, {"VCPU": 1, "MEMORY_MB": 1024}),
    ],
)
async def test_what_is_claimed(lab, flavor, image, wanted):
    await lab.host("host-1")
    spec = lab.spec(flavor=msgspec.structs.replace(FLAVOR, **flavor))
    if not image:
        spec.image = None
    (made,) = await select(lab, spec=spec)
    (allocation,) = (await lab.placement.allocations(made.server_uuid)).allocations.values()
    assert allocation.resources == wanted


async def test_two_schedulers_never_over_commit(lab):
    """40 wanted by many requests at once on two schedulers, 24 fit: exactly those land."""
    for number in range(3):
        await lab.host(f"host-{number}")  # 8 each
    schedulers = [lab.scheduler, lab.new_scheduler()]
    made = await asyncio.gather(*(select(lab, 4, scheduler=schedulers[n % 2]) for n in range(10)))
    placed = [selection for selections in made for selection in selections if selection.host is not None]
    assert len(placed) == 24
    claimed = await lab.claimed()
    assert [len(held) for held in claimed.values()] == [8, 8, 8]
    for selection in placed:
        assert selection.server_uuid in claimed[selection.host]
    for summary in await lab.placement.summaries():
        assert all(usage.used <= usage.capacity for usage in summary.resources.values())


async def test_a_lost_claim_goes_to_the_next_best_host(lab):
    await lab.host("host-1", memory_mb=9000, disk_gb=50)
    await lab.host("host-2", memory_mb=8000, disk_gb=50)
    taken, original = [], lab.placement.claim

    async def claim(consumer, provider, resources, **owner):
        if not taken:
            taken.append(provider)
            return False
        return await original(consumer, provider, resources, **owner)

    lab.placement.claim = claim
    (made,) = await select(lab)
    assert made.host == "host-2"
    (refused,) = [h for h in made.decision.hosts if h.refused_by]
    assert (refused.host, refused.refused_by) == ("host-1", "claim")
    assert made.decision.filters[-1].filter == "claim"


async def test_concurrent_requests_share_a_reading_and_still_spread(lab):
    for number in range(10):
        await lab.host(f"host-{number}")
    sent = await statements_of(lab.database)
    made = await asyncio.gather(*(select(lab) for _ in range(10)))
    assert 0 < len(sent) <= 4
    assert len({selections[0].host for selections in made}) == 10


async def test_disabled_and_silent_hosts_are_left_out(lab):
    for number in (1, 2, 3, 4):
        await lab.host(f"host-{number}")
    changes = {"host-1": {"disabled": True}, "host-2": {"forced_down": True}, "host-3": {"last_seen": None}}
    async with lab.database.transaction() as tx:
        for name, values in changes.items():
            await tx.connection.execute(update(tables.services).where(tables.services.c.host == name).values(**values))
    (made,) = await select(lab)
    assert made.host == "host-4"
    saw = {h.host: h.saw for h in made.decision.hosts if h.refused_by}
    assert saw == {"host-1": "service is disabled", "host-2": "service is down", "host-3": "service is down"}
    (forced,) = await select(lab, spec=lab.spec(force_host="host-1"))
    assert forced.host == "host-1"  # an operator tries out a disabled host
    assert forced.alternates == []
    (down,) = await select(lab, spec=lab.spec(force_host="host-2"))
    assert down.host is None
    spec = lab.spec()
    results = [await lab.scheduler.claim(CTX, lab.clock.uuid(), f"host-{n}", spec, "p", "u") for n in (1, 2, 3, 4, 9)]
    assert results == [False, False, False, True, False]


async def test_hints_find_servers_and_groups(lab):
    await lab.host("host-1")
    await lab.host("host-2", memory_mb=4096)
    (near,) = await lab.servers(spec=lab.spec(force_host="host-2"))
    await lab.build([near])
    (same,) = await select(lab, spec=lab.spec(scheduler_hints={"same_host": [near]}))
    (other,) = await select(lab, spec=lab.spec(scheduler_hints={"different_host": [near]}))
    assert (same.host, other.host) == ("host-2", "host-1")
    together = await lab.group("affinity")
    (member,) = await lab.servers(spec=lab.spec(force_host="host-2", scheduler_hints={"group": [together]}))
    await lab.build([member])
    (next_one,) = await select(lab, spec=lab.spec(scheduler_hints={"group": [together]}))
    assert next_one.host == "host-2"
    (gone,) = await select(lab, spec=lab.spec(scheduler_hints={"group": [lab.clock.uuid()]}))
    assert gone.host is not None


async def test_a_host_placement_does_not_know_is_never_chosen(lab):
    await lab.host("host-1")
    node = (await lab.placement.providers())[0].uuid
    await lab.placement.delete_provider(node)
    for spec in (lab.spec(), lab.spec(force_host="host-1")):
        (made,) = await select(lab, spec=spec)
        assert made.host is None


async def test_an_unreachable_placement_is_an_error_and_no_decision(lab):
    await lab.host("host-1")

    async def away(*_, **__):
        raise errors.ServiceUnavailable(reason="placement")

    lab.placement.claim = lab.placement.claim_many = away
    for count in (1, 3):
        with pytest.raises(errors.ServiceUnavailable):
            await select(lab, count)


async def test_a_repeated_request_claims_once(lab):
    await lab.host("host-1", memory_mb=2048)
    uuids = [lab.clock.uuid() for _ in range(2)]
    for _ in range(3):
        made = await lab.scheduler.select_destinations(CTX, uuids, lab.spec(), PROJECT, "u")
        assert [selection.host for selection in made] == ["host-1", "host-1"]
    assert await lab.claimed() == {"host-1": sorted(uuids)}


def test_selections_cross_the_bus():
    made = models.Selection(server_uuid="s", host="h", decision=models.Decision(scheduler="filter", chosen="h"))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=models.Selection) == made


async def test_a_server_scheduled_twice_at_once_gets_one_host(lab):
    """Its message was delivered again while the first scheduler was at work: both say the same, and one claim stands."""
    for number in range(1, 5):
        await lab.host(f"host-{number}", memory_mb=1024)
    uuids = [lab.clock.uuid() for _ in range(4)]
    schedulers = [lab.scheduler, lab.new_scheduler(), lab.new_scheduler()]
    answers = await asyncio.gather(
        *(s.select_destinations(CTX, uuids, lab.spec(), PROJECT, "u") for s in schedulers for _ in range(2))
    )
    hosts = [[made.host for made in answer] for answer in answers]
    assert sorted(hosts[0]) == ["host-1", "host-2", "host-3", "host-4"]
    assert hosts == [hosts[0]] * len(hosts)
    assert await lab.claimed() == {host: [uuid] for uuid, host in zip(uuids, hosts[0], strict=True)}
