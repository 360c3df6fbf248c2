"""Hosts as kinds of requests see them: looking only at what changed gives what looking at all would."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import KINDS, Candidates, Hosts
from kilonova.compute.scheduler.drivers import load_driver
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plan import Planner
from kilonova.compute.scheduler.request import FilterRequest
from tests.unit.scheduler.hosts import group, host, request, stats

DRIVER = load_driver(SchedulerOptions(), random.Random(1))
ASKED = request(availability_zone="nova")
amounts = st.integers(0, 4)
states = st.builds(
    host, st.sampled_from([f"host-{n}" for n in range(6)]), vcpus_free=amounts, memory_mb_free=st.integers(1022, 1027),
    disk_gb_free=st.integers(9, 12), up=st.booleans(), availability_zone=st.sampled_from(["nova", "nova", "east"]),
    stats=st.builds(stats, io_ops=amounts),
)  # fmt: skip


def seen(candidates: Candidates) -> Any:
    ranked = [(entry.host, entry.weight, entry.weights) for entry in candidates.best(None)]
    refused = {name: judge.name for name, judge in candidates.refused.items()}
    return (
        ranked,
        candidates.best(2),
        candidates.best(2, {"host-1", "unknown"}),
        candidates.passing({"host-2"}),
        refused,
    )


def look(hosts: Hosts, asked: FilterRequest = ASKED) -> Candidates:
    return hosts.candidates(asked, DRIVER.filters_for(asked), DRIVER.weighers)


@given(first=st.lists(states, max_size=4), changes=st.lists(st.lists(states, max_size=3), max_size=6))
def test_following_changes_is_looking_at_all(first: list[HostState], changes: list[list[HostState]]) -> None:
    hosts = Hosts(first)
    for changed in changes:
        for state in changed:
            hosts.put(state)
        followed = look(hosts)
        assert seen(followed) == seen(look(Hosts(hosts.values())))
        assert [followed.passes(name) for name in hosts] == [name not in followed.refused for name in hosts]


@given(first=st.lists(states, max_size=6), count=st.integers(1, 6))
def test_plans_are_the_same_where_hosts_were_seen_before(first: list[HostState], count: int) -> None:
    known = Hosts(first)
    look(known)
    plans = [Planner(DRIVER, hosts, ASKED).plan([str(n) for n in range(count)], {}) for hosts in (known, Hosts(first))]
    assert plans[0] == plans[1]


class Counting(Filter):
    name = "Counting"

    def __init__(self) -> None:
        super().__init__(SchedulerOptions())
        self.asked: list[str] = []

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        self.asked.append(host.host)
        return None


def test_only_changed_hosts_are_looked_at_again() -> None:
    judge, hosts = Counting(), Hosts([host("a"), host("b"), host("c")])

    def asked_for(**wanted: Any) -> list[str]:
        judge.asked.clear()
        hosts.candidates(request(**wanted), [judge], [])
        return judge.asked.copy()

    assert asked_for() == ["a", "b", "c"]
    hosts.put(host("b", vcpus_free=1))
    hosts.put(host("d"))
    hosts.put(host("a"))  # as it was
    assert asked_for() == ["b", "d"]
    assert asked_for() == []
    assert asked_for(networks_auto=True) == [], "it is nothing to the hosts"
    assert asked_for(flavor={"vcpus": 2}) == ["a", "b", "c", "d"], "another kind"
    assert asked_for(group=group("anti-affinity")) == ["a", "b", "c", "d"]
    assert asked_for(group=group("anti-affinity")) == ["a", "b", "c", "d"], "members move"
    assert asked_for(hints={"same_host": ["s"]}) == asked_for(hints={"same_host": ["s"]}) == ["a", "b", "c", "d"]


def test_the_last_kinds_are_kept() -> None:
    hosts = Hosts([host()])
    kinds = [request(flavor={"vcpus": n}) for n in range(KINDS + 1)]
    first, *rest = [look(hosts, kind) for kind in kinds]
    assert [look(hosts, kind) for kind in kinds[1:]] == rest
    assert look(hosts, kinds[0]) is not first
    assert look(hosts, kinds[2]) is rest[1]
    assert look(hosts, kinds[1]) is not rest[0], "the one that was not used for longest went"
