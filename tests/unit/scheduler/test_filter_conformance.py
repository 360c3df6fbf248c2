"""What every filter must be: pure, cheap, and calm whatever users write into hints, extra specs and properties."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.compute.models import HostState
from kilonova.compute.scheduler import json_query, weighers
from kilonova.compute.scheduler.filters import BUILT_IN, ForcedHost, NamedHosts
from kilonova.compute.scheduler.host_values import NAMES, host_value
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.versions import satisfies
from kilonova.core.operators import matches
from tests.unit.scheduler.hosts import group, host, request

OPTIONS = SchedulerOptions(isolated_hosts=("host-1",), isolated_images=("image-1",))
FILTERS = [kind(OPTIONS) for kind in (*BUILT_IN.values(), NamedHosts, ForcedHost)]
HINTS = ("query", "same_host", "different_host", "build_near_host_ip", "cidr", "group")
EMPTY = HostState(host="bare", node="bare", node_uuid="bare")
HOSTILE = ["", " ", "\x00", "☃" * 50, "$", "$host.x.y", "<or>", "<in>", "<all-in>", ">=", "s==", "!", "1e999", "nan", "-",
           "[" * 100, '{"a": 1}', '["and"]', "../../etc/passwd", "0.0.0.0/0", ",,,", ">=1.2.3.4.5", "９"]  # fmt: skip


@pytest.mark.parametrize("found", FILTERS, ids=lambda f: f.name)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_input_never_raises(found, text):
    asked = request(
        hints={name: [text, text] for name in HINTS},
        extra={"capabilities:" + text: text, "capabilities:vcpus_total": text, text: text},
        image={"hw_architecture": text, "hypervisor_version_requires": text, "hw_vm_mode": text},
        availability_zone=text, group=group("anti-affinity", {text: 1}),
    )  # fmt: skip
    before = msgspec.msgpack.encode(asked)
    for state in (EMPTY, host(aggregates=[{text: text}], host_ip=text)):
        held = msgspec.msgpack.encode(state)
        answers = {found.passes(state, asked) for _ in range(2)}
        assert len(answers) == 1, "the same question has one answer"
        (saw,) = answers
        assert saw is None or (isinstance(saw, str) and len(saw) < 400)
        assert found.applies(asked) in (True, False)
        assert msgspec.msgpack.encode(state) == held, "a filter changes no host"
    assert msgspec.msgpack.encode(asked) == before, "a filter changes no request"


amounts = st.integers(-5, 5)
states = st.builds(
    host, st.sampled_from(["host-1", "host-2"]), vcpus_free=amounts, vcpus_total=amounts, memory_mb_free=amounts,
    memory_mb_total=amounts, disk_gb_free=amounts, disk_gb_total=amounts, up=st.booleans(), enabled=st.booleans(),
    availability_zone=st.sampled_from(["nova", "east"]),
)  # fmt: skip


@pytest.mark.parametrize("found", FILTERS, ids=lambda f: f.name)
@given(hosts=st.lists(states, max_size=6), wanted=st.integers(0, 4), zone=st.sampled_from([None, "nova", "east"]))
def test_many_at_once_is_the_same_as_one_by_one(found, hosts, wanted, zone):
    asked = request(
        flavor={"vcpus": wanted, "memory_mb": wanted, "root_gb": wanted}, availability_zone=zone,
        failed_hosts={"host-2": "failed"} if wanted == 1 else {},
    )  # fmt: skip
    assert found.among(hosts, asked) == [state for state in hosts if found.passes(state, asked) is None]


@pytest.mark.parametrize("found", [kind(OPTIONS) for kind in weighers.BUILT_IN.values()], ids=lambda w: w.name)
def test_weights_of_many_are_the_weights_of_each(found):
    hosts = [host(f"host-{n}", vcpus_free=n, memory_mb_free=2 * n, disk_gb_free=3 * n) for n in range(3)]
    asked = request(group=group("soft-affinity", {"host-1": 2}))
    assert found.weights(hosts, asked) == [found.weigh(state, asked) for state in hosts]


@pytest.mark.parametrize("found", FILTERS, ids=lambda f: f.name)
def test_empty_hints_pass_a_good_host(found):
    asked = request(hints={name: [] for name in HINTS}, extra={}, image={})
    assert found.passes(host(), asked) is None or found.name == "IsolatedHostsFilter"


@pytest.mark.parametrize("kind", [*BUILT_IN.values(), *weighers.BUILT_IN.values()], ids=lambda k: k.name)
def test_it_is_an_entry_point(kind):
    document = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    points = document["project"]["entry-points"]
    group_name = "filters" if kind in BUILT_IN.values() else "weighers"
    assert points[f"kilonova.scheduler.{group_name}"][kind.name] == f"{kind.__module__}:{kind.__name__}"


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["$" + name for name in NAMES] + ["$cpu_info.vendor", "$stats.io_ops", "$..", "$"]),
)  # fmt: skip
VERBS = st.sampled_from(["and", "or", "not", "=", "<", ">", "<=", ">=", "in", "xor", ""])
QUERIES = st.recursive(
    VALUES, lambda inner: st.builds(lambda verb, rest: [verb, *rest], VERBS, st.lists(inner, max_size=4)), max_leaves=30
)


@settings(max_examples=300)
@given(query=QUERIES)
def test_any_query_is_answered_or_refused(query):
    try:
        first = json_query.evaluate(query, host())
    except json_query.QueryError:
        return
    assert str(first) == str(json_query.evaluate(query, host()))


@settings(max_examples=200)
@given(text=st.text(max_size=60))
def test_any_text_is_a_query_or_none(text):
    try:
        json_query.parse(text)
    except json_query.QueryError:
        return


@given(inner=QUERIES)
def test_not_and_and_or_combine_queries(inner):
    try:
        plain = bool(json_query.evaluate(inner, host()))
        assert json_query.evaluate(["not", inner], host()) is (not plain)
        assert json_query.evaluate(["and", inner, True], host()) is plain
        assert json_query.evaluate(["or", inner, False], host()) is plain
    except json_query.QueryError:
        return


@settings(max_examples=300)
@given(value=st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=20)), wanted=st.text(max_size=40))
def test_operators_answer_anything(value, wanted):
    assert matches(value, wanted) in (True, False)
    assert satisfies(7002000, wanted) in (True, False)
    assert host_value(host(), wanted.split(":")) is not Ellipsis


@given(have=st.integers(-(10**6), 10**6), want=st.integers(-(10**6), 10**6))
def test_numeric_operators_agree_with_numbers(have, want):
    assert matches(have, f">= {want}") is (have >= want)
    assert matches(have, f"<= {want}") is (have <= want)
    assert matches(have, f"== {want}") is (have == want)
    assert matches(have, f"!= {want}") is (have != want)
    assert matches(str(have), f"s== {want}") is (have == want)
