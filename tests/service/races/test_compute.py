"""Quotas, and what several change of one thing at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from sqlalchemy import update

from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.host_reports import HostReports
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.grants import BuildGrants
from kilonova.compute.notifications import silent
from kilonova.compute.tables import servers
from tests.component.conductor.lab import report
from tests.service.compute_api.support import IMAGE, NEWEST, version
from tests.service.races.conftest import Replicas
from tests.support import PROJECT

V21 = "/compute/v2.1"


def ask(method: str, path: str, json: Any = None, token: str = "member", at: str = NEWEST) -> dict[str, Any]:
    return {"method": method, "path": V21 + path, "token": token, "json": json, "headers": version(at)}


def boot(**fields: Any) -> dict[str, Any]:
    body = {"name": "vm", "imageRef": IMAGE, "flavorRef": "42", "networks": "none"} | fields
    return ask("POST", "/servers", {"server": body})


async def test_exactly_as_many_servers_as_the_quota_lets(compute: Replicas) -> None:
    assert await compute.statuses(*(boot(name=f"s{n}") for n in range(20))) == Counter({202: 7, 403: 13})
    limits = (await compute[1](**ask("GET", "/limits"))).json["limits"]["absolute"]
    assert (limits["totalInstancesUsed"], limits["totalCoresUsed"]) == (7, 7)
    assert len((await compute[0](**ask("GET", "/servers"))).json["servers"]) == 7


async def test_requests_for_several_take_what_is_left_and_no_more(compute: Replicas) -> None:
    wanted = [boot(name=f"s{n}", min_count=1, max_count=3) for n in range(6)]
    statuses = await compute.statuses(*wanted)
    assert len((await compute[0](**ask("GET", "/servers"))).json["servers"]) == 7
    assert statuses == Counter({202: 3, 403: 3})


async def test_exactly_as_many_key_pairs_as_the_quota_lets(compute: Replicas) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpz4zVzzZ5u0V0mVQeI7mUdeK8gJwVhMGLwZrRR7vYQ"
    wanted = [
        ask("POST", "/os-keypairs", {"keypair": {"name": f"k{n}", "type": "ssh", "public_key": key}}) for n in range(12)
    ]
    assert await compute.statuses(*wanted) == Counter({201: 5, 403: 7})


async def test_one_key_pair_of_a_name(compute: Replicas) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKpz4zVzzZ5u0V0mVQeI7mUdeK8gJwVhMGLwZrRR7vYQ"
    wanted = [ask("POST", "/os-keypairs", {"keypair": {"name": "k", "type": "ssh", "public_key": key}})] * 6
    assert await compute.statuses(*wanted) == Counter({201: 1, 409: 5})


async def test_exactly_as_many_groups_as_the_quota_lets(compute: Replicas) -> None:
    wanted = [
        ask("POST", "/os-server-groups", {"server_group": {"name": f"g{n}", "policy": "affinity"}}) for n in range(9)
    ]
    assert await compute.statuses(*wanted) == Counter({200: 3, 403: 6})


async def test_nothing_that_is_added_to_metadata_is_lost(compute: Replicas) -> None:
    server = (await compute[0](**boot())).json["server"]["id"]
    await set_state(compute, server, "active")
    wanted = [ask("POST", f"/servers/{server}/metadata", {"metadata": {f"k{n}": str(n)}}) for n in range(10)]
    assert await compute.statuses(*wanted) == {200: 10}
    found = (await compute[0](**ask("GET", f"/servers/{server}/metadata"))).json["metadata"]
    assert found == {f"k{n}": str(n) for n in range(10)}


async def test_nothing_that_is_added_to_tags_is_lost(compute: Replicas) -> None:
    server = (await compute[0](**boot())).json["server"]["id"]
    await set_state(compute, server, "active")
    assert await compute.statuses(*(ask("PUT", f"/servers/{server}/tags/t{n}") for n in range(10))) == {201: 10}
    assert len((await compute[0](**ask("GET", f"/servers/{server}/tags"))).json["tags"]) == 10


async def test_one_of_several_actions_begins(compute: Replicas) -> None:
    server = (await compute[0](**boot())).json["server"]["id"]
    await set_state(compute, server, "active", host="host-1")
    wanted = [ask("POST", f"/servers/{server}/action", {"os-stop": None}) for _ in range(6)]
    assert await compute.statuses(*wanted) == Counter({202: 1, 409: 5})


async def test_a_flavor_keeps_every_extra_spec(compute: Replicas) -> None:
    wanted = [ask("POST", "/flavors/42/os-extra_specs", {"extra_specs": {f"a:k{n}": "v"}}, "admin") for n in range(8)]
    assert await compute.statuses(*wanted) == {200: 8}
    assert len((await compute[0](**ask("GET", "/flavors/42/os-extra_specs", token="admin"))).json["extra_specs"]) == 8


async def test_one_flavor_of_a_name(compute: Replicas) -> None:
    body = {"name": "x", "ram": 1, "vcpus": 1, "disk": 0}
    wanted = [ask("POST", "/flavors", {"flavor": body | {"id": f"f{n}"}}, "admin") for n in range(6)]
    assert await compute.statuses(*wanted) == Counter({200: 1, 409: 5})


async def test_a_host_comes_into_one_zone(compute: Replicas) -> None:
    await add_host(compute, "host-1")
    made = []
    for zone in ("a", "b"):
        body = {"aggregate": {"name": zone, "availability_zone": zone}}
        made.append((await compute[0](**ask("POST", "/os-aggregates", body, "admin"))).json["aggregate"]["id"])
    wanted = [
        ask("POST", f"/os-aggregates/{aggregate}/action", {"add_host": {"host": "host-1"}}, "admin")
        for aggregate in made * 3
    ]
    assert await compute.statuses(*wanted) == Counter({200: 1, 409: 5})


async def test_a_quota_is_set_by_many(compute: Replicas) -> None:
    wanted = [ask("PUT", f"/os-quota-sets/{PROJECT}", {"quota_set": {"cores": 50 + n}}, "admin") for n in range(8)]
    assert await compute.statuses(*wanted) == {200: 8}


async def test_a_host_that_reports_to_two_conductors_at_once_is_one(compute: Replicas) -> None:
    await asyncio.gather(*(add_host(compute, "host-1", replica=n) for n in range(6)))
    services = (await compute[0](**ask("GET", "/os-services", token="admin"))).json["services"]
    assert [service["host"] for service in services] == ["host-1"]


async def set_state(compute: Replicas, server: str, state: str, **values: Any) -> None:
    values = {"vm_state": state, "task_state": None} | values
    async with compute.services[0].held.database.transaction() as tx:
        await tx.connection.execute(update(servers).where(servers.c.uuid == server).values(**values))


class NoPlacement:
    async def ensure_provider(self, *_: Any) -> None: ...
    async def set_inventories(self, *_: Any) -> None: ...


async def add_host(compute: Replicas, host: str, replica: int = 0) -> None:
    """As a conductor writes down what a host reports."""
    service = compute.services[replica % 2]
    core, database = service.api.core, service.held.database
    deps = Deps(
        database, core.bus, NoPlacement(), core.clock, core.faults, ConductorOptions(),  # type: ignore[arg-type]
        silent(core.clock), BuildGrants(core.grants, core.clock),
    )  # fmt: skip
    await HostReports(deps).report(report(host))
