"""The image list: filters, order, pages."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.service.image.support import IMAGES, JSON, active, create, patch
from tests.support import OTHER_PROJECT, PROJECT


async def names(client, token="member", /, **query):
    answer = await client("GET", f"{IMAGES}?{urlencode(query, doseq=True)}", token=token, headers=JSON)
    assert answer.status == 200, answer.content
    return [image["name"] for image in answer.json["images"]]


@pytest.fixture
async def some(client):
    """Five images of `member`."""
    made = {
        "a": await active(client, name="a", data=b"x" * 100, os_distro="debian", tags=["red", "big"]),
        "b": await active(client, name="b", data=b"x" * 200, os_distro="fedora", tags=["red"], protected=True),
        "c": await create(client, name="c", disk_format="qcow2", min_disk=5),
        "d, e": await create(client, name="d, e", container_format="ovf"),
        "h": await create(client, name="h", os_hidden=True),
    }
    return {name: image["id"] for name, image in made.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "dcba"), ({"sort": "name:asc"}, "abcd"), ({"sort_key": "name", "sort_dir": "asc"}, "abcd"),
        ({"sort_key": ["name"] * 500, "sort_dir": ["desc", *["asc"] * 499]}, "dcba"),
        ({"sort": "name:asc" + ",name:desc" * 500}, "abcd"),
        ({"sort_key": ["status", "name"], "sort_dir": ["desc", "asc"]}, "cdab"), ({"sort": "size,name:asc"}, "bacd"),
        ({"name": "b"}, "b"), ({"name": "in:a,c"}, "ca"), ({"name": 'in:"d, e",c'}, "dc"), ({"name": "eq:b"}, "b"),
        ({"name": "x:y"}, ""), ({"status": "active"}, "ba"), ({"status": "in:queued,active"}, "dcba"),
        ({"disk_format": "qcow2"}, "c"), ({"container_format": "ovf"}, "d"), ({"tag": "red"}, "ba"),
        ({"tag": ["red", "big"]}, "a"), ({"size_min": 150}, "b"), ({"size_max": 150}, "a"), ({"min_disk": 5}, "c"),
        ({"size_min": 10**30}, ""), ({"min_disk_min": 1}, "c"), ({"protected": "true"}, "b"),
        ({"protected": "false"}, "dca"), ({"os_hidden": "true"}, "h"), ({"os_distro": "debian"}, "a"),
        ({"os_distro": "debian", "tag": "red"}, "a"), ({"os_distro": "debian", "name": "b"}, ""),
        ({"owner": PROJECT}, "dcba"), ({"owner": OTHER_PROJECT}, ""), ({"visibility": "shared"}, "dcba"),
        ({"visibility": "private"}, ""), ({"visibility": "all"}, "dcba"), ({"limit": 2}, "dc"), ({"limit": 0}, ""),
        ({"created_at": "gt:2020-01-01T00:00:00Z"}, "dcba"), ({"created_at": "lt:2020-01-01T00:00:00+02:00"}, ""),
    ],
)  # fmt: skip
async def test_filters_and_order(client, some, query, expected):
    assert "".join(name[0] for name in await names(client, **query)) == expected


async def test_ids_as_filter(client, some):
    assert await names(client, id=some["b"]) == ["b"]
    assert await names(client, id=f"in:{some['a']},{some['c']}", sort="name:asc") == ["a", "c"]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("limit=x", "limit param must be an integer"), ("limit=-1", "limit param must be positive"),
        ("marker=nothing", "No image found with ID nothing"), ("sort_key=owner", "Invalid sort key: owner"),
        ("sort=name:up", "Invalid sort direction: up"), ("sort=name&sort_key=name", "cannot be combined"),
        ("sort_key=name&sort_dir=asc&sort_dir=desc", "does not match the number of sort keys"),
        ("visibility=secret", "Invalid visibility value: secret"), ("member_status=x", "Invalid status: x"),
        ("os_hidden=maybe", "Invalid value 'maybe' for 'os_hidden' filter."),
        ("protected=1", "Invalid value '1' for 'protected' filter."), ("size_min=big", "non-numeric"),
        ("name=gt:a", "unknown operator 'gt'"), ("created_at=yesterday", "ISO 8601"), ('name=in:"a', "quotes"),
        ("&".join(f"tag=t{n}" for n in range(65)), "tag has 65 values: at most 64"),
        ("&".join(f"p{n}=x" for n in range(65)), "has 65 values: at most 64"),
        ("changes-since=1", "no longer available"), ("name=%00", "query string"),
        ("created_at=gt:9999-12-31T23:59:59-23:59", "ISO 8601"),
    ],
)  # fmt: skip
async def test_queries_that_make_no_sense(client, query, part):
    answer = await client("GET", f"{IMAGES}?{query}", token="member", headers=JSON)
    assert (answer.status, part in answer.json["message"]) == (400, True), answer.content


@pytest.mark.parametrize("sort", ["name:asc", "name:desc", "size:asc,name:desc", "created_at:asc", "status,size"])
async def test_pages_give_every_image_once(client, sort):
    for n in range(7):
        if n % 3:
            await active(client, name=f"n{n % 2}", data=b"x" * n)
        else:
            await create(client, name=None)
    path = f"/v2/images?{urlencode({'limit': 2, 'sort': sort, 'visibility': 'shared'})}"
    seen = []
    while path:
        answer = (await client("GET", "/image" + path, token="member")).json
        assert "limit=2" in answer["first"]
        assert "marker" not in answer["first"]
        assert answer["schema"] == "/v2/schemas/images"
        seen += [image["id"] for image in answer["images"]]
        path = answer.get("next")
    everything = await client("GET", f"{IMAGES}?sort={sort}", token="member")
    assert seen == [image["id"] for image in everything.json["images"]]
    assert len(seen) == 7


async def test_default_page(client):
    for n in range(26):
        await create(client, name=str(n))
    assert len(await names(client)) == 25
    assert len(await names(client, limit=10**9)) == 26


async def test_visibility_decides_which_callers_see_an_image(client):
    made = {}
    for visibility in ("public", "community", "private", "shared"):
        made[visibility] = await create(client, "admin", name=visibility, visibility=visibility)
    assert await names(client, "admin", sort="name:asc") == ["community", "private", "public", "shared"]
    assert await names(client) == ["public"]
    assert await names(client, visibility="community") == ["community"]
    assert await names(client, visibility="all", sort="name:asc") == ["community", "public"]

    path = f"{IMAGES}/{made['shared']['id']}/members"
    assert (await client("POST", path, token="admin", json={"member": PROJECT})).status == 200
    assert await names(client) == ["public"]
    assert await names(client, member_status="pending", visibility="shared") == ["shared"]
    await client("PUT", f"{path}/{PROJECT}", token="member", json={"status": "accepted"})
    assert await names(client, sort="name:asc") == ["public", "shared"]
    assert await names(client, "foreign") == ["public"]
    await patch(
        client, made["shared"]["id"], {"op": "replace", "path": "/visibility", "value": "private"}, token="admin"
    )
    assert await names(client) == ["public"]


async def test_a_marker_of_others_is_none(client):
    image = await create(client, visibility="private")
    answer = await client("GET", f"{IMAGES}?marker={image['id']}", token="foreign", headers=JSON)
    assert (answer.status, answer.json["message"]) == (400, f"No image found with ID {image['id']}")


async def test_what_a_list_asks_for_is_bounded(client):
    """Sort keys that are repeated decide nothing, and each tag or property is a condition of its own."""
    made = [(await create(client, name=name))["id"] for name in "bac"]
    keys = "sort=" + ",".join(["name:asc", *["name:desc"] * 1000])
    answer = await client("GET", f"{IMAGES}?{keys}&marker={made[1]}")
    assert [image["name"] for image in answer.json["images"]] == ["b", "c"]
    for query in ("&".join(f"tag=t{n}" for n in range(65)), "&".join(f"p{n}=x" for n in range(65))):
        assert (await client("GET", f"{IMAGES}?{query}")).status == 400
