"""The account of compute hosts reads the images of servers that were given to a host, and no others."""

from __future__ import annotations

import msgspec
import pytest

from kilonova.core.grants import HEADER, Grant, Grants
from tests.service.image.conftest import Cloud
from tests.service.image.support import active
from tests.support import Answer, Client

TIME_TO_COME = 2e10


def grant(*images: str, until: float = TIME_TO_COME) -> Grant:
    return Grant(server="s", host="host-1", project="p", images=images, until=until)


async def read(client: Client, image_id: str, signed: str | None, path: str = "/file") -> Answer:
    headers = {HEADER: signed} if signed is not None else {}
    return await client("GET", f"/image/v2/images/{image_id}{path}", token="host", headers=headers)


@pytest.mark.parametrize("visibility", ["private", "shared", "public", "community"])
async def test_an_image_goes_to_hosts_that_build_from_it(cloud: Cloud, visibility: str) -> None:
    client, grants = cloud.client, cloud.core.grants
    mine = await active(client, token="admin", visibility=visibility)
    other = await active(client, token="admin", visibility=visibility)
    answer = await read(client, mine["id"], grants.sign(grant(mine["id"])))
    assert (answer.status, len(answer.content)) == (200, mine["size"])
    for signed in (
        None, "", "x", grants.sign(grant(other["id"])), grants.sign(grant()), grants.sign(grant(mine["id"], until=1)),
        Grants("another secret").sign(grant(mine["id"])), Grants().sign(grant(mine["id"])),
    ):  # fmt: skip
        assert (await read(client, mine["id"], signed)).status in (403, 404), signed
        assert (await read(client, mine["id"], signed, "")).status in (403, 404), signed


async def test_a_grant_changes_no_image_and_lists_none(cloud: Cloud) -> None:
    image = await active(cloud.client, token="admin")
    signed, called = cloud.core.grants.sign(grant(image["id"])), 0
    for route in cloud.service.routes:
        if route.public or route.policy in ("default", "get_image", "download_image"):
            continue
        path = route.path.replace("{image_id:str}", image["id"]).replace("{tag:str}", "x").replace("{member:str}", "m")
        answer = await cloud.client(
            route.method, "/image" + path, token="host", headers={HEADER: signed, "content-type": "application/json"},
            content=msgspec.json.encode({"member": "m"}),
        )  # fmt: skip
        empty = answer.status == 200 and not next(iter(answer.json.values()))
        assert answer.status in (403, 404, 415) or empty, (route.method, path, answer.status)
        called += 1
    assert called > 10
    assert (await cloud.client("GET", f"/image/v2/images/{image['id']}", token="admin")).json == image


async def test_a_deactivated_image_is_still_for_servers_that_have_it(cloud: Cloud) -> None:
    image = await active(cloud.client, token="admin")
    await cloud.client("POST", f"/image/v2/images/{image['id']}/actions/deactivate", token="admin")
    assert (await read(cloud.client, image["id"], cloud.core.grants.sign(grant(image["id"])))).status == 200


async def fill(client: Client, image_id: str, signed: str) -> int:
    headers = {HEADER: signed, "content-type": "application/octet-stream"}
    path = f"/image/v2/images/{image_id}/file"
    return (await client("PUT", path, token="host", headers=headers, content=b"\0" * 4096)).status


async def test_a_host_fills_the_image_that_it_is_to_fill_once(cloud: Cloud) -> None:
    made = []
    for name in ("mine", "other"):
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        made.append((await cloud.client("POST", "/image/v2/images", token="member", json=body)).json["id"])
    mine, other = made
    signed = cloud.core.grants.sign(msgspec.structs.replace(grant(), fills=(mine,)))
    readable = cloud.core.grants.sign(grant(mine))
    late = cloud.core.grants.sign(msgspec.structs.replace(grant(until=1), fills=(mine,)))
    assert await fill(cloud.client, mine, readable) == 403
    assert await fill(cloud.client, mine, late) == 404
    assert await fill(cloud.client, other, signed) == 404
    assert (await read(cloud.client, mine, signed, "")).json["status"] == "queued"
    assert await fill(cloud.client, mine, signed) == 204
    assert await fill(cloud.client, mine, signed) == 409
    for image_id, status in ((mine, "active"), (other, "queued")):
        shown = (await cloud.client("GET", f"/image/v2/images/{image_id}", token="member")).json
        assert shown["status"] == status
    headers = {HEADER: signed, "content-type": "application/json"}
    refused = await cloud.client("DELETE", f"/image/v2/images/{mine}", token="host", headers=headers)
    assert refused.status == 403
