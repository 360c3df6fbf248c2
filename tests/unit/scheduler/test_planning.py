"""Weighers, drivers, plug-ins and the pass over hosts for several servers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from kilonova.compute.scheduler import plugins, weighers
from kilonova.compute.scheduler.candidates import Hosts
from kilonova.compute.scheduler.drivers import BUILT_IN, load_driver
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plan import Planner, why_none
from kilonova.compute.scheduler.weighing import Weights
from kilonova.core import registry
from kilonova.core.config import ConfigError
from tests.unit.scheduler.hosts import group, host, request, stats


def planner(hosts, asked=None, **options):
    made = SchedulerOptions(**options)
    driver = load_driver(made, random.Random(1))
    return Planner(driver, Hosts(hosts), asked or request())


def rank(hosts, used, asked):
    weights, every = Weights(used, asked), b"\1" * len(hosts)
    weights.fill(hosts, every)
    return weights.best(hosts, every, None)


def ids(count: int) -> list[str]:
    return [f"server-{n}" for n in range(count)]


@pytest.mark.parametrize(
    ("name", "good", "bad", "asked"),
    [
        ("RAMWeigher", host(memory_mb_free=2), host(memory_mb_free=1), request()),
        ("CPUWeigher", host(vcpus_free=2), host(vcpus_free=1), request()),
        ("DiskWeigher", host(disk_gb_free=2), host(disk_gb_free=1), request()),
        ("IoOpsWeigher", host(stats=stats(io_ops=1)), host(stats=stats(io_ops=2)), request()),
        ("ServerGroupSoftAffinityWeigher", host("a"), host("b"), request(group=group("soft-affinity", {"a": 1}))),
        (
            "ServerGroupSoftAntiAffinityWeigher",
            host("b"),
            host("a"),
            request(group=group("soft-anti-affinity", {"a": 1})),
        ),
    ],
)
def test_each_weigher_prefers(name, good, bad, asked):
    weigher = weighers.BUILT_IN[name](SchedulerOptions())
    assert rank([bad, good], [weigher], asked)[0].host is good
    assert rank([good, good], [weigher], asked)[0].weight == 0.0


def test_weights_are_stretched_multiplied_and_summed():
    options = SchedulerOptions(ram_weight_multiplier=2.0, cpu_weight_multiplier=1.0)
    used = [weighers.BUILT_IN[name](options) for name in ("RAMWeigher", "CPUWeigher")]
    hosts = [host("a", memory_mb_free=100, vcpus_free=4), host("b", memory_mb_free=200, vcpus_free=8),
             host("c", memory_mb_free=150, vcpus_free=4)]  # fmt: skip
    ranked = rank(hosts, used, request())
    assert [(r.host.host, r.weight) for r in ranked] == [("b", 3.0), ("c", 1.0), ("a", 0.0)]
    assert ranked[0].weights == {"RAMWeigher": 2.0, "CPUWeigher": 1.0}


def test_num_instances_is_off_by_default():
    assert "NumInstancesWeigher" not in {w.name for w in plugins.load_weighers(SchedulerOptions())}
    on = SchedulerOptions(num_instances_weight_multiplier=-1.0)
    assert "NumInstancesWeigher" in {w.name for w in plugins.load_weighers(on)}


@pytest.mark.parametrize(
    "options",
    [{"filters": ("NoSuchFilter",)}, {"weighers": ("NoSuchWeigher",)}, {"driver": "dice"}],
)
def test_unknown_names_list_the_known_ones(options):
    with pytest.raises(ConfigError, match=r"\[scheduler\] .*there is no .*; there are: "):
        load_driver(SchedulerOptions(**options), random.Random(1))


def test_filters_of_installed_packages(monkeypatch):
    class Tuesday(Filter):
        name = "TuesdayFilter"

        def passes(self, host, request):
            return "it is not Tuesday"

    class Point:
        name, value = "TuesdayFilter", "x:Tuesday"

        def load(self):
            return Tuesday

    class Bad(Point):
        name, value = "BadFilter", "x:bad"

        def load(self):
            return object

    monkeypatch.setattr(
        registry, "installed", lambda group: {p.name: p for p in (Point(), Bad()) if group == "scheduler.filters"}
    )
    (plan,) = planner([host()], filters=("TuesdayFilter",)).plan(["s"], {})
    assert plan.decision.hosts[0].saw == "it is not Tuesday"
    with pytest.raises(ConfigError, match="is no Filter"):
        planner([host()], filters=("BadFilter",))


def test_servers_of_one_request_spread():
    hosts = [host(f"host-{n}") for n in range(5)]
    plans = planner(hosts).plan(ids(40), {})
    assert set(Counter(plan.host.host for plan in plans).values()) == {8}
    assert all(len(plan.alternates) == 2 for plan in plans[:30])
    assert all(plan.host.host not in plan.alternates for plan in plans)


def test_capacity_is_counted_down():
    plans = planner([host(memory_mb_free=3000), host("host-2", memory_mb_free=1500)]).plan(ids(5), {})
    chosen = Counter(plan.host.host if plan.host else None for plan in plans)
    assert chosen == {"host-1": 2, "host-2": 1, None: 2}
    decision = plans[-1].decision
    assert [(f.filter, f.before, f.after) for f in decision.filters][:2] == [
        ("ComputeFilter", 2, 2),
        ("RamFilter", 2, 0),
    ]
    assert why_none(decision) == "No valid host was found. 2 hosts: RamFilter removed 2."


def test_anti_affinity_and_affinity_within_one_request():
    hosts = [host(f"host-{n}") for n in range(3)]
    apart = planner(hosts, request(group=group("anti-affinity"))).plan(ids(4), {})
    assert [plan.host is not None for plan in apart] == [True, True, True, False]
    assert len({plan.host.host for plan in apart[:3]}) == 3
    together = planner(hosts, request(group=group("affinity"))).plan(ids(3), {})
    assert len({plan.host.host for plan in together}) == 1
    assert together[1].alternates == []


def test_lost_claims_are_in_the_decision():
    (plan,) = planner([host()]).plan(["s"], {"s": {"host-1": "too late"}})
    assert plan.host is None
    assert plan.decision.hosts[0].refused_by == "claim"
    assert why_none(plan.decision) == "No valid host was found. 1 host: claim removed 1."


def test_decisions_are_capped():
    hosts = [host(f"host-{n}", up=n % 2 == 0) for n in range(500)]
    (plan,) = planner(hosts).plan(["s"], {})
    assert plan.decision.candidates == 500
    assert len(plan.decision.hosts) == 100
    assert sum(f.before - f.after for f in plan.decision.filters) == 250


@pytest.mark.parametrize("driver", sorted(BUILT_IN))
def test_every_driver_keeps_to_what_fits(driver):
    hosts = [host("full", memory_mb_free=0), host("down", up=False), host("good"), host("east", availability_zone="x")]
    asked = request(availability_zone="nova", ignore_hosts=["none"])
    for plan in planner(hosts, asked, driver=driver).plan(ids(8), {}):
        assert plan.host.host == "good"
        assert plan.decision.scheduler == driver
    assert planner([], driver=driver).plan(["s"], {})[0].host is None


def test_chance_uses_all_and_simple_the_least_loaded():
    hosts = [host(f"host-{n}", vcpus_used=n, memory_mb_free=8192 - n) for n in range(4)]
    chance = planner(hosts, driver="chance").plan(ids(24), {})
    assert len({plan.host.host for plan in chance}) == 4
    simple = planner(hosts, driver="simple").plan(ids(3), {})
    assert [plan.host.host for plan in simple] == ["host-0", "host-1", "host-0"]


def test_zone_takes_any_host_of_the_zone():
    """As in the oldest releases: the zone that was asked for, and chance within it; weights say nothing."""
    hosts = [host(f"a-{n}", availability_zone="a", memory_mb_free=8000) for n in range(3)]
    hosts += [host(f"b-{n}", availability_zone="b", memory_mb_free=4000 + 1000 * n) for n in range(3)]
    inside = Counter(
        plan.host.host for plan in planner(hosts, request(availability_zone="b"), driver="zone").plan(ids(12), {})
    )
    assert set(inside) == {"b-0", "b-1", "b-2"}
    firsts = set()
    for seed in range(40):
        driver = load_driver(SchedulerOptions(driver="zone"), random.Random(seed))
        firsts.add(Planner(driver, Hosts(hosts), request(availability_zone="b")).plan(["s"], {})[0].host.host)
    assert firsts == {"b-0", "b-1", "b-2"}
    anywhere = planner(hosts, driver="zone").plan(ids(24), {})
    assert {plan.host.host for plan in anywhere} == {state.host for state in hosts}


def test_the_zone_spread_weigher_spreads_a_request_over_zones():
    hosts = [host(f"a-{n}", availability_zone="a", memory_mb_free=8000) for n in range(3)]
    hosts += [host(f"b-{n}", availability_zone="b", memory_mb_free=4000) for n in range(3)]
    options = {"weighers": ("RAMWeigher", "ZoneSpreadWeigher"), "zone_spread_weight_multiplier": 2.0}
    plans = planner(hosts, **options).plan(ids(6), {})
    assert Counter(plan.host.availability_zone for plan in plans) == {"a": 3, "b": 3}
    assert plans[0].host.availability_zone == "a"
    assert plans[1].decision.hosts[0].weights["ZoneSpreadWeigher"] == 2.0
    inside = planner(hosts, request(availability_zone="b"), **options).plan(ids(3), {})
    assert {plan.host.availability_zone for plan in inside} == {"b"}
    alone = planner(hosts, weighers=("RAMWeigher",)).plan(ids(6), {})
    assert {plan.host.availability_zone for plan in alone} == {"a"}


def test_subset_and_shuffle_choose_among_the_best():
    hosts = [host(f"host-{n}", memory_mb_free=8000 - n) for n in range(6)]

    def chosen(**options):
        found = set()
        for seed in range(40):
            driver = load_driver(SchedulerOptions(**options), random.Random(seed))
            (plan,) = Planner(driver, Hosts(hosts), request()).plan(["s"], {})
            found.add(plan.host.host)
        return found

    assert chosen() == {"host-0"}
    assert chosen(host_subset_size=3) == {"host-0", "host-1", "host-2"}
    hosts = [host(f"host-{n}") for n in range(4)] + [host("poor", memory_mb_free=2000)]
    assert chosen(shuffle_best_same_weighed_hosts=True) == {f"host-{n}" for n in range(4)}
