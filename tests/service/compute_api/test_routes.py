"""Every route: nothing for anonymous callers, nothing of another project's."""

from __future__ import annotations

import re
import uuid

import pytest
from sqlalchemy import insert

from kilonova.compute import tables
from kilonova.compute.app import ComputeApiService
from kilonova.core.web.app import Route, RouteWithoutPolicy, build_app
from kilonova.core.web.errors import compute_format
from tests.service.compute_api.support import IMAGE, Images, Networks, version
from tests.support import make_core


def every_route(tmp_path):
    core, _, _ = make_core(tmp_path)
    return ComputeApiService(core, images=Images(), networks=Networks()).routes


@pytest.fixture
def table(tmp_path):
    return every_route(tmp_path / "other")


def filled(path: str, server_id: str) -> str:
    known = {"server_id": server_id, "aggregate_id": "1", "request_id": "req-" + str(uuid.UUID(int=5)), "tag": "t"}
    return re.sub(r"\{(\w+):str\}", lambda m: known.get(m.group(1), "x"), path)


def at(route: Route) -> str:
    """A version at which the route is there."""
    return route.until or route.since or "2.104"


async def test_no_route_but_the_versions_answers_without_a_token(cloud, table):
    public = {route.path for route in table if route.public}
    assert public == {"/", "/v2.1", "/v2", "/v1.0", "/v1.1"}
    for token in (None, "expired-or-made-up"):
        for route in table:
            if route.public:
                continue
            path = filled(route.path, str(uuid.uuid4()))
            answer = await cloud.client(
                route.method, f"/compute{path}", token=token, headers=version(at(route)), json={}
            )
            assert answer.status == 401, (route.method, path, answer.content)
            assert answer.headers["www-authenticate"].startswith("Keystone uri=")


BODIES = {
    "POST /action": {"os-start": None},
    "POST /metadata": {"metadata": {"a": "b"}},
    "PUT /metadata": {"metadata": {"a": "b"}},
    "PUT /metadata/x": {"meta": {"x": "b"}},
    "PUT /tags": {"tags": ["a"]},
    "PUT /servers": {"server": {"name": "mine"}},
}


async def test_another_projects_server_is_not_there(cloud, table):
    server_id = await cloud.active(tags=["t"], metadata={"x": "y"})
    for route in table:
        if "{server_id" not in route.path:
            continue
        path = filled(route.path, server_id)
        tail = path.rsplit(server_id, 1)[1] or "/servers"
        body = BODIES.get(f"{route.method} {tail}")
        for token, allowed in (("foreign", (403, 404)), ("reader", (200, 204, 403, 404, 409, 501))):
            answer = await cloud.client(
                route.method, f"/compute{path}", token=token, headers=version(at(route)), json=body
            )
            assert answer.status in allowed, (token, route.method, path, answer.status, answer.content)
            if token == "reader" and route.method != "GET":
                assert answer.status == 403, (route.method, path)
    shown = await cloud("GET", f"/servers/{server_id}")
    assert (shown.json["server"]["name"], shown.json["server"]["metadata"]) == ("vm", {"x": "y"})


async def test_operators_routes_are_not_for_members(cloud, table):
    for route in table:
        if route.public or "{server_id" in route.path:
            continue
        if not any(
            part in route.path for part in ("os-services", "os-hypervisors", "os-aggregates", "external-events")
        ):
            continue
        answer = await cloud.client(
            route.method, f"/compute{filled(route.path, IMAGE)}", token="member", headers=version(at(route)), json={}
        )
        assert answer.status == 403, (route.method, route.path, answer.content)


@pytest.mark.parametrize("token", ["domain", "system", "unscoped"])
async def test_all_of_it_is_for_tokens_of_a_project(cloud, table, token):
    server_id = await cloud.active()
    for route in table:
        if route.public:
            continue
        path = filled(route.path, server_id)
        answer = await cloud.client(route.method, f"/compute{path}", token=token, headers=version(at(route)), json={})
        assert answer.status == 403, (route.method, path, answer.content)
    assert (await cloud.boot(token=token)).status == 403


async def test_foreign_key_pairs_and_groups(cloud):
    made = await cloud("POST", "/os-server-groups", json={"server_group": {"name": "g", "policy": "affinity"}})
    group_id = made.json["server_group"]["id"]
    for method in ("GET", "DELETE"):
        assert (await cloud(method, f"/os-server-groups/{group_id}", token="foreign")).status == 404
    assert (await cloud("GET", "/os-keypairs?user_id=admin")).status == 403
    quota = await cloud("GET", f"/os-quota-sets/{'1' * 32}", token="foreign")
    assert quota.status == 403
    hint = {"os:scheduler_hints": {"group": group_id}}
    assert (await cloud.boot(token="foreign", top=hint)).status == 400
    assert (await cloud.boot(top=hint)).status == 202


async def test_a_route_without_policy_can_not_be(cloud):
    async def handler(call):
        raise AssertionError

    core = cloud.service.core
    web = core.web("compute", compute_format, core.policy("compute", {"a": "@"}))
    for route in (Route("GET", "/x", handler), Route("GET", "/x", handler, "no:such:rule")):
        with pytest.raises(RouteWithoutPolicy):
            build_app(web, [route])


async def test_versions(cloud):
    listed = await cloud.client("GET", "/compute/", token=None)
    assert {v["id"]: v["version"] for v in listed.json["versions"]} == {"v2.0": "", "v2.1": "2.104"}
    shown = await cloud.client("GET", "/compute/v2.1/", token=None)
    assert shown.json["version"]["min_version"] == "2.1"
    for header, value in (("X-OpenStack-Nova-API-Version", "2.30"), ("OpenStack-API-Version", "compute 2.30")):
        answer = await cloud.client("GET", "/compute/v2.1/flavors", headers={header: value})
        assert answer.headers["x-openstack-nova-api-version"] == "2.30"
        assert answer.headers["openstack-api-version"] == "compute 2.30"
    latest = await cloud.client("GET", "/compute/v2.1/flavors", headers=version("latest"))
    assert latest.headers["openstack-api-version"] == "compute 2.104"
    assert (await cloud.client("GET", "/compute/v2.1/flavors", headers=version("2.105"))).status == 406
    assert (await cloud.client("GET", "/compute/v2.1/flavors", headers=version("two"))).status == 400
    assert (await cloud("GET", "/nothing/here")).status == 404
    assert (await cloud("GET", "/servers/%2e%2e%2fflavors")).status == 400
    assert (await cloud("GET", "/os-hosts", at="2.43", token="admin")).status == 404


async def add_host(cloud, host="host-1", **more):
    moment = cloud.service.core.clock.row_time()
    service = {
        "uuid": str(uuid.uuid4()),
        "host": host,
        "binary": "nova-compute",
        "last_seen": moment,
        "created_at": moment,
    }
    node = {
        "uuid": str(uuid.uuid4()), "host": host, "hypervisor_hostname": host, "vcpus": 8, "memory_mb": 8192, "disk_gb": 100,
        "hypervisor_type": "QEMU", "hypervisor_version": 8002000, "host_ip": "10.0.0.1", "created_at": moment,
        "facts": {"cpu_info": {"arch": "x86_64"}, "disk_available_gb": 90}, "stats": {},
    }  # fmt: skip
    async with cloud.service.database.transaction() as tx:
        await tx.connection.execute(insert(tables.services).values(**service | more))
        await tx.connection.execute(insert(tables.compute_nodes).values(**node))
    return service["uuid"], node["uuid"]
