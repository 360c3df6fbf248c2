"""Quotas of users, and whose quota may be set; hosts that may not return yet."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import insert

from kilonova.compute import tables
from kilonova.compute.moves import EVACUATION
from kilonova.core import errors
from tests import support
from tests.databases import statements_of
from tests.service.compute_api.support import Cloud, version
from tests.support import PROJECT, caller

PATH = f"/os-quota-sets/{PROJECT}"


@pytest.fixture(autouse=True)
def second_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """`member` is user demo of the project, `second` another one."""
    monkeypatch.setitem(support.CALLERS, "second", caller("second", PROJECT, "member", "reader"))


async def limit(cloud: Cloud, user: str | None = None, *, force: bool = False, **limits: int):
    query = f"?user_id={user}" if user else ""
    body = {"quota_set": limits | ({"force": True} if force else {})}
    return await cloud("PUT", PATH + query, token="admin", json=body)


def why(answer) -> str:
    (fault,) = answer.json.values()
    return str(fault["message"])


async def test_a_users_limit_counts_the_users_own(cloud):
    assert (await cloud.boot(min_count=2)).status == 202
    assert (await limit(cloud, "second", instances=1)).json["quota_set"]["instances"] == 1
    assert (await cloud.boot(token="second")).status == 202
    refused = await cloud.boot(token="second")
    assert (refused.status, why(refused)) == (
        403, "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    )  # fmt: skip
    assert (await cloud.boot()).status == 202  # the others go on
    shown = (await cloud("GET", f"{PATH}/detail?user_id=second")).json["quota_set"]
    assert (shown["instances"]["limit"], shown["instances"]["in_use"]) == (1, 1)
    whole = (await cloud("GET", f"{PATH}/detail")).json["quota_set"]
    assert (whole["instances"]["limit"], whole["instances"]["in_use"]) == (10, 4)
    assert (await cloud("DELETE", f"{PATH}?user_id=second", token="admin")).status == 202
    assert (await cloud.boot(token="second")).status == 202


@pytest.mark.parametrize(("resource", "most"), [("cores", 3), ("ram", 3 * 128), ("instances", 3)])
async def test_each_resource_of_a_user(cloud, resource, most):
    assert (await cloud.boot(min_count=3)).status == 202
    await limit(cloud, "second", **{resource: most})
    answers = [(await cloud.boot(token="second")).status for _ in range(4)]
    assert answers == [202, 202, 202, 403]
    fewer = await cloud.boot(token="second", min_count=1, max_count=5)
    assert (fewer.status, f"of {most} {resource}" in why(fewer)) == (403, True)


async def test_the_projects_limit_holds_beside_the_users(cloud):
    await limit(cloud, "second", instances=5)
    assert (await cloud.boot(min_count=8)).status == 202
    assert (await cloud.boot(token="second", min_count=1, max_count=5)).status == 202  # two of them
    refused = await cloud.boot(token="second")
    assert (refused.status, "already used 10 of 10 instances" in why(refused)) == (403, True)


async def test_a_users_limit_can_not_be_raced(cloud):
    assert (await cloud.boot(min_count=2)).status == 202
    await limit(cloud, "second", instances=3)
    racers = [cloud.boot(token="second", name=f"s{n}") for n in range(8)]
    racers += [cloud.boot(name=f"d{n}") for n in range(8)]
    answers = await asyncio.gather(*racers)
    assert sorted(a.status for a in answers[:8]) == [202] * 3 + [403] * 5
    assert sorted(a.status for a in answers[8:]) == [202] * 5 + [403] * 3


async def test_groups_and_members_of_a_user(cloud):
    async def group(token: str):
        body = {"server_group": {"name": "g", "policy": "soft-affinity"}}
        return await cloud("POST", "/os-server-groups", token=token, json=body)

    made = (await group("member")).json["server_group"]["id"]
    await limit(cloud, "second", server_groups=1, server_group_members=1)
    assert (await group("second")).status == 200
    refused = await group("second")
    numbers = "Requested 1, but already used 1 of 1 server_groups"
    assert (refused.status, why(refused)) == (403, f"Quota exceeded, too many server groups. {numbers}")
    hint = {"os:scheduler_hints": {"group": made}}
    assert (await cloud.boot(min_count=2, top=hint)).status == 202
    assert (await cloud.boot(token="second", top=hint)).status == 202
    full = await cloud.boot(token="second", top=hint)
    numbers = "Requested 1, but already used 1 of 1 server_group_members"
    assert (full.status, why(full)) == (403, f"Quota exceeded, too many servers in group. {numbers}")
    assert (await cloud.boot(top=hint)).status == 202


async def test_metadata_of_a_user(cloud):
    await limit(cloud, "second", metadata_items=1)
    refused = await cloud.boot(token="second", metadata={"a": "b", "c": "d"})
    assert (refused.status, why(refused)) == (403, "Maximum number of metadata items exceeds 1")
    server_id = await cloud.active(token="second", metadata={"a": "b"})
    more = {"metadata": {"c": "d"}}
    refused = await cloud("POST", f"/servers/{server_id}/metadata", token="second", json=more)
    assert (refused.status, why(refused)) == (403, "Maximum number of metadata items exceeds 1")
    assert (
        await cloud("POST", f"/servers/{server_id}/metadata", json=more)
    ).status == 200  # by a user without such a limit


async def test_refused_key_pairs_name_the_limit(cloud):
    await limit(cloud, key_pairs=1)
    public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHDXHFMhBsWRVSO2VO6bHS9UVQXvsaT3OHBLhA8wNFCJ x"
    key = {"keypair": {"name": "a", "public_key": public_key}}
    assert (await cloud("POST", "/os-keypairs", json=key)).status in (200, 201)
    key["keypair"]["name"] = "b"
    refused = await cloud("POST", "/os-keypairs", json=key)
    numbers = "Requested 1, but already used 1 of 1 key_pairs"
    assert (refused.status, why(refused)) == (403, f"Quota exceeded, too many key pairs. {numbers}")


async def test_limits_of_users_stay_within_the_projects(cloud):
    assert (await limit(cloud, "second", instances=6)).status == 200
    high = await limit(cloud, "demo", instances=5)
    assert (high.status, why(high)) == (400, "Quota limit 5 for instances must be less than or equal to 4.")
    assert (await limit(cloud, "demo", instances=-1)).status == 400
    assert (await limit(cloud, "demo", instances=4)).status == 200
    assert (await limit(cloud, "second", instances=7)).status == 400
    low = await limit(cloud, instances=9)
    assert (low.status, "greater than or equal to already used and reserved 10" in why(low)) == (400, True)
    assert (await limit(cloud, "second", force=True, instances=50)).status == 200
    assert (await cloud.boot(token="second", min_count=11)).status == 403


async def test_no_statement_more_where_no_user_has_a_limit(cloud):
    assert (await cloud.boot()).status == 202
    sent = await statements_of(cloud.service.database)
    counts = []
    for limits in ({}, {"instances": 5}):
        if limits:
            await limit(cloud, "demo", **limits)
        sent.clear()
        assert (await cloud.boot()).status == 202
        counts.append(len([text for text in sent if "sum(servers" in text or "quota_limits" in text]))
    assert counts == [2, 3]  # the limits, the project's usage; then the user's too


ROUTES = [("GET", ""), ("GET", "/detail"), ("GET", "/defaults"), ("PUT", "")]


@pytest.mark.parametrize(("method", "tail"), ROUTES)
@pytest.mark.parametrize("project", ["nope", "a" * 65, "..", "%2e%2e", "x%20y", "1%3F2"])
async def test_quotas_of_no_project(cloud, method, tail, project):
    body = {"quota_set": {"instances": 5}} if method == "PUT" else None
    answer = await cloud(method, f"/os-quota-sets/{project}{tail}", token="admin", json=body)
    if project in ("..", "%2e%2e"):  # the path is another one
        assert answer.status in (400, 404)
        return
    assert answer.status == 400
    assert why(answer).startswith("Project ID ")
    assert why(answer).endswith(" is not a valid project.")


async def test_quotas_of_a_project_that_can_not_be_checked(cloud):
    project = "3" * 32
    for away in (errors.ServiceUnavailable(reason="identity is away"), errors.Forbidden(action="identity:get_project")):
        cloud.projects.away = away
        assert (
            await cloud("PUT", f"/os-quota-sets/{project}", token="admin", json={"quota_set": {"cores": 5}})
        ).status == 200
    cloud.projects.away = None
    assert (await cloud("GET", f"/os-quota-sets/{project}", token="admin")).status == 400
    assert (await cloud("DELETE", f"/os-quota-sets/{project}", token="admin")).status == 202  # of one that is gone
    assert (await cloud("GET", PATH)).status == 200  # one's own needs no check


@pytest.mark.parametrize("user", ["a%2Fb", "x" * 65, "a%00", "a%20b"])
async def test_a_user_that_can_not_be(cloud, user):
    for method in ("GET", "PUT", "DELETE"):
        body = {"quota_set": {"instances": 5}} if method == "PUT" else None
        assert (await cloud(method, f"{PATH}?user_id={user}", token="admin", json=body)).status == 400, method


async def test_flavor_access_of_no_project(cloud):
    flavor = {"name": "private", "ram": 1, "vcpus": 1, "disk": 1, "id": "77", "os-flavor-access:is_public": False}
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": flavor})).status == 200

    async def act(name: str, project: str):
        return await cloud("POST", "/flavors/77/action", token="admin", json={name: {"tenant": project}})

    refused = await act("addTenantAccess", "nope")
    assert (refused.status, why(refused)) == (400, "Project ID nope is not a valid project.")
    assert (await cloud("GET", "/flavors/77/os-flavor-access", token="admin")).json == {"flavor_access": []}
    assert (await act("addTenantAccess", PROJECT)).status == 200
    cloud.projects.held.remove(PROJECT)  # deleted since: its access can still be taken away
    assert (await act("removeTenantAccess", PROJECT)).status == 200
    assert (await act("removeTenantAccess", "nope")).status == 404


@pytest.mark.parametrize(
    ("kind", "status", "refused"),
    [(EVACUATION.name, status, status == "done") for status in ("done", "completed", "accepted", "error")]
    + [("migration", "done", False)],
)
async def test_a_host_returns_when_it_has_removed_what_was_evacuated(cloud, kind, status, refused):
    await cloud.seen("host-1")
    (service,) = (await cloud("GET", "/os-services", token="admin")).json["services"]
    moment = cloud.service.core.clock.row_time()
    record = {
        "uuid": str(uuid.uuid4()), "server_uuid": str(uuid.uuid4()), "type": kind, "status": status,
        "request_id": "req-1", "source_compute": "host-1", "source_node": "host-1", "user_id": "u", "project_id": PROJECT,
        "document": b"", "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    async with cloud.service.database.transaction() as tx:
        await tx.connection.execute(insert(tables.migrations).values(**record))
    named = {"host": "host-1", "binary": "nova-compute"}

    async def force(*, down: bool):
        by_id = await cloud("PUT", f"/os-services/{service['id']}", token="admin", json={"forced_down": down})
        return by_id, await cloud("PUT", "/os-services/force-down", "2.11", "admin", json=named | {"forced_down": down})

    assert [answer.status for answer in await force(down=True)] == [200, 200]
    for answer in await force(down=False):
        if not refused:
            assert answer.status == 200
            continue
        assert (answer.status, why(answer)) == (
            400,
            "Unable to force up host host-1 as `done` evacuation migration records remain associated with the host. Ensure "
            "the compute service has been restarted, allowing these records to move to `completed` before retrying this "
            "request.",
        )
    (shown,) = (await cloud.client("GET", "/compute/v2.1/os-services", token="admin", headers=version("2.53"))).json[
        "services"
    ]
    assert shown["forced_down"] is refused
    other = await cloud("PUT", f"/os-services/{service['id']}", token="admin", json={"status": "disabled"})
    assert other.status == 200
