"""Usage reports: os-simple-tenant-usage."""

from __future__ import annotations

import datetime as dt

from tests.support import PROJECT

PATH = "/os-simple-tenant-usage"
DAY = "start=2020-01-01T00:00:00&end=2020-01-02T00:00:00"


async def ran(cloud, start: str, end: str | None = None, **fields) -> str:
    server_id = await cloud.active(flavorRef="3", **fields)  # 2 vcpus, 4096 MiB, 40 GB
    await cloud.row(
        server_id,
        launched_at=dt.datetime.fromisoformat(start),
        terminated_at=dt.datetime.fromisoformat(end) if end else None,
    )
    return server_id


async def test_hours_are_those_within_the_period(cloud):
    await ran(cloud, "2020-01-01T06:00:00", "2020-01-01T08:30:00", name="inside")
    await ran(cloud, "2019-12-31T00:00:00", "2020-01-01T01:00:00", name="began-before")
    await ran(cloud, "2020-01-01T22:00:00", name="goes-on")
    await ran(cloud, "2019-12-30T00:00:00", "2019-12-31T00:00:00", name="before")
    await ran(cloud, "2020-01-02T00:00:00", name="after")
    await cloud.boot(name="never-launched")
    report = (await cloud("GET", f"{PATH}/{PROJECT}?{DAY}")).json["tenant_usage"]
    assert (report["total_hours"], report["total_vcpus_usage"]) == (5.5, 11.0)
    assert (report["total_memory_mb_usage"], report["total_local_gb_usage"]) == (5.5 * 4096, 5.5 * 40)
    assert (report["start"], report["stop"]) == ("2020-01-01T00:00:00.000000", "2020-01-02T00:00:00.000000")
    shown = {use["name"]: use for use in report["server_usages"]}
    assert {name: use["hours"] for name, use in shown.items()} == {"inside": 2.5, "began-before": 1.0, "goes-on": 2.0}
    assert (shown["inside"]["state"], shown["inside"]["uptime"], shown["inside"]["flavor"]) == (
        "terminated", 9000, "m1.medium")  # fmt: skip
    assert (shown["goes-on"]["state"], shown["goes-on"]["ended_at"]) == ("active", None)
    assert shown["goes-on"]["started_at"] == "2020-01-01T22:00:00.000000"


async def test_callers_that_may_see_a_users_usage(cloud):
    await ran(cloud, "2020-01-01T06:00:00")
    assert (await cloud("GET", f"{PATH}/{PROJECT}?{DAY}", token="foreign")).status == 403
    assert (await cloud("GET", f"{PATH}?{DAY}")).status == 403
    (brief,) = (await cloud("GET", f"{PATH}?{DAY}", token="admin")).json["tenant_usages"]
    assert (brief["tenant_id"], brief["total_hours"], "server_usages" in brief) == (PROJECT, 18.0, False)
    (full,) = (await cloud("GET", f"{PATH}?{DAY}&detailed=1", token="admin")).json["tenant_usages"]
    assert len(full["server_usages"]) == 1
    assert (await cloud("GET", f"{PATH}/nobody?{DAY}", token="admin")).json == {"tenant_usage": {}}
    assert (await cloud("GET", f"{PATH}/{PROJECT}")).json["tenant_usage"]["total_hours"] == 0.0


async def test_pages(cloud):
    ids = sorted([await ran(cloud, "2020-01-01T06:00:00") for _ in range(3)])
    first = (await cloud("GET", f"{PATH}/{PROJECT}?{DAY}&limit=2")).json
    assert [use["instance_id"] for use in first["tenant_usage"]["server_usages"]] == ids[:2]
    (link,) = first["tenant_usage_links"]
    rest = (await cloud("GET", link["href"].split("/v2.1")[1])).json
    assert [use["instance_id"] for use in rest["tenant_usage"]["server_usages"]] == ids[2:]
    assert "tenant_usage_links" not in rest
    old = (await cloud("GET", f"{PATH}/{PROJECT}?{DAY}&limit=2", "2.39")).json
    assert len(old["tenant_usage"]["server_usages"]) == 3
    for query in ("start=nonsense", "start=2020-01-02T00:00:00&end=2020-01-01T00:00:00", "marker=nope", "limit=x"):
        assert (await cloud("GET", f"{PATH}/{PROJECT}?{query}")).status == 400, query
