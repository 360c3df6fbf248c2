"""Patterns, globs and queries that users send: none may cost more than a moment, on any database."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from kilonova.core import patterns
from tests.service.compute_api.support import IMAGE, NETWORK

SLOW = 5.0  # seconds; a pattern that backtracks takes minutes
HOSTILE = (
    "a?" * 30 + "a" * 30 + "X", "(a*)*b", "(a|aa)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){12}X",
    "((a{1,12}){1,12}){1,6}X", "(?:.|..|...|....){20}X",
)  # fmt: skip
INVALID = ("[", "(", "*a", "a{2,1}", "a(?=b)", r"(a)\1", "(" * 90 + "a*" + ")*" * 90, "((a{100}){100}){100}", "[^x]{255}a",
           "a" * 256)  # fmt: skip


async def test_no_pattern_costs_more_than_a_moment(cloud):
    for _ in range(10):
        assert (await cloud.boot(name="a" * 255)).status == 202
    began = time.monotonic()
    for pattern in HOSTILE:
        answer = await cloud("GET", f"/servers?name={quote(pattern)}")
        assert answer.status in (200, 400), pattern
    assert time.monotonic() - began < SLOW


@pytest.mark.parametrize("pattern", INVALID)
async def test_an_invalid_or_too_large_pattern_is_refused(cloud, pattern):
    await cloud.boot()
    for path in ("/servers", "/servers/detail"):
        answer = await cloud("GET", f"{path}?name={quote(pattern)}")
        assert answer.status == 400, answer.content
        message = answer.json["badRequest"]["message"]
        assert message.startswith("Invalid input for query parameters name. Value: ")
        assert "is not a 'regex'" in message


async def names(cloud, pattern: str, **query: str) -> list[str]:
    more = "".join(f"&{key}={value}" for key, value in query.items())
    answer = await cloud("GET", f"/servers/detail?sort_key=display_name&sort_dir=asc&name={quote(pattern)}{more}")
    assert answer.status == 200, answer.content
    return [server["name"] for server in answer.json["servers"]]


async def test_what_patterns_find(cloud):
    for name in ("tempest-instance-1", "tempest-instance-22", "web.1", "webx1", "München-3", "A*b"):
        await cloud.boot(name=name)
    assert await names(cloud, "^.*-instance-[0-9]+$") == ["tempest-instance-1", "tempest-instance-22"]
    assert await names(cloud, "instance-[0-9]$") == ["tempest-instance-1"]
    assert await names(cloud, "web.1") == ["web.1", "webx1"]
    assert await names(cloud, r"web\.1") == ["web.1"]
    assert await names(cloud, r"A\*b") == ["A*b"]
    assert await names(cloud, "M.nchen") == ["München-3"]
    assert await names(cloud, "^web") == ["web.1", "webx1"]
    assert await names(cloud, "nothing.*") == []


async def test_pages_of_what_a_pattern_finds(cloud, monkeypatch):
    """Names are looked at in batches; pages are as with any other filter."""
    monkeypatch.setattr("kilonova.compute.store.server_lists.BATCH", 3)
    for n in range(10):  # the quota
        await cloud.boot(name=f"{'even' if n % 2 == 0 else 'odd'}-{n:02}")
    assert await names(cloud, "ev.n", limit="4") == ["even-00", "even-02", "even-04", "even-06"]
    listed = (await cloud("GET", "/servers?sort_key=display_name&sort_dir=asc&limit=4&name=ev.n")).json
    assert [server["name"] for server in listed["servers"]] == ["even-00", "even-02", "even-04", "even-06"]
    rest = await names(cloud, "ev.n", limit="4", marker=listed["servers"][-1]["id"])
    assert rest == ["even-08"]


async def test_a_filter_longer_than_any_database_takes_is_refused(cloud):
    for key in ("name", "ip", "tags", "metadata", "reservation_id"):
        answer = await cloud("GET", f"/servers?{key}={'a' * 50_001}", token="admin")
        assert answer.status == 400, key
    answer = await cloud("GET", f"/os-hypervisors?hypervisor_hostname_pattern={'a' * 50_001}", token="admin")
    assert answer.status == 404


def test_plain_texts_need_no_engine():
    assert [patterns.is_plain(text) for text in ("a", "^a$", "a-b_c", "", "a.b", "a$b")] == [True] * 4 + [False] * 2


async def test_queries_to_the_scheduler_are_small(cloud):
    async def hinted(**hints: object) -> int:
        answer = await cloud.boot(top={"os:scheduler_hints": hints})
        return int(answer.status)

    assert await hinted(query='[">=", "$free_ram_mb", 64]') == 202
    assert await hinted(query=["[" + ",".join(['"or"'] + ["1"] * 120) + "]"]) == 400
    assert await hinted(query=['[">=", "$free_ram_mb", 64]'] * 40) == 400
    assert await hinted(query="no json") == 400
    assert await hinted(anything=["x"] * 101) == 400
    for prefix, status in (("/24", 202), ("/64", 202), ("/999", 400), ("/" + "9" * 5000, 400), ("/x", 400)):
        assert await hinted(build_near_host_ip="10.0.0.1", cidr=prefix) == status, prefix


async def test_texts_that_look_nearly_right_are_refused_in_a_moment(cloud):
    """A check by a regular expression of ours must not backtrack either."""
    began = time.monotonic()
    assert (await cloud.boot(user_data=" " * 65_000 + "!")).status == 400
    assert (await cloud.boot(min_count="0" * 900_000 + "x")).status == 400
    assert (await cloud.boot(min_count="0" * 5_000 + "1")).status == 400
    flavor = {"name": "f", "ram": 64, "vcpus": 1, "disk": 1, "rxtx_factor": "1" * 900_000 + "x"}
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": flavor}, at="2.60")).status == 400
    assert time.monotonic() - began < SLOW


async def test_sort_keys_that_are_repeated_cost_nothing(cloud):
    made = [(await cloud.boot(name=name)).json["server"]["id"] for name in ("b", "a", "c")]
    keys = "sort_key=name&sort_dir=asc" + "&sort_key=display_name&sort_key=uuid&sort_key=name" * 400
    began = time.monotonic()
    rest = (await cloud("GET", f"/servers?{keys}&marker={made[1]}")).json["servers"]
    assert [server["name"] for server in rest] == ["b", "c"]
    assert time.monotonic() - began < SLOW


async def test_lists_of_a_request_have_bounds(cloud):
    many = [
        {"networks": [{"uuid": NETWORK}] * 65},
        {"security_groups": [{"name": f"g{n}"} for n in range(65)]},
        {"block_device_mapping_v2": [{"source_type": "image", "uuid": IMAGE, "boot_index": 0}] * 65},
    ]
    for fields in many:
        answer = await cloud.boot(**fields)
        assert answer.status == 400
        assert "at most 64 items" in answer.json["badRequest"]["message"]
    assert (await cloud("GET", f"/servers?tags={','.join(f't{n}' for n in range(51))}")).status == 400
