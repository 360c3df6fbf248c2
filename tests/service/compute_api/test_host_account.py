"""The account of compute hosts has no business with compute's API: every route refuses it, with a server's grant too."""

from __future__ import annotations

from kilonova.core.grants import HEADER, Grant
from tests.service.compute_api.support import version
from tests.service.compute_api.test_routes import at, filled
from tests.support import PROJECT


async def test_no_route_does_anything_for_a_host(cloud) -> None:
    server_id = await cloud.active(tags=["t"], metadata={"x": "y"})
    grant = Grant(server=server_id, host="host-1", project=PROJECT, until=2e10)
    signed = {HEADER: cloud.service.core.grants.sign(grant)}
    before = (
        await cloud.client("GET", f"/compute/v2.1/servers/{server_id}", token="admin", headers=version("2.90"))
    ).json
    refused = 0
    for route in cloud.service.routes:
        if route.public:
            continue
        path = filled(route.path, server_id)
        for sent in ({}, signed):
            answer = await cloud.client(
                route.method, f"/compute{path}", token="host", headers=version(at(route)) | sent, json={}
            )
            if answer.status in (401, 403, 404):
                refused += 1
                continue
            assert server_id.encode() not in answer.content, (route.method, path, answer.content)
            if route.method != "GET":
                assert answer.status in (400, 410), (route.method, path, answer.status, answer.content)
    assert refused > 150, refused
    after = (
        await cloud.client("GET", f"/compute/v2.1/servers/{server_id}", token="admin", headers=version("2.90"))
    ).json
    assert after == before
