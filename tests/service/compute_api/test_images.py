"""Images for clients that still ask compute for them."""

from __future__ import annotations

import uuid

from kilonova.core import errors
from tests.service.compute_api.support import IMAGE, Cloud, image

OTHER, SNAPSHOT, NOWHERE = (str(uuid.UUID(int=number)) for number in (901, 902, 903))
LAST, LAST_METADATA = "2.35", "2.38"


def several(cloud: Cloud) -> None:
    snapshot = {"instance_uuid": OTHER, "image_type": "snapshot", "auto_disk_config": "True"}
    cloud.images.held |= {
        OTHER: image(OTHER, name="other", status="queued", size=None),
        SNAPSHOT: image(SNAPSHOT, name="snap", min_ram=64, properties=snapshot),
    }


async def test_lists_and_shows(cloud: Cloud) -> None:
    several(cloud)
    brief = (await cloud("GET", "/images", at=LAST)).json["images"]
    assert sorted(one["name"] for one in brief) == ["cirros", "other", "snap"]
    assert {link["rel"] for link in brief[0]["links"]} == {"self", "bookmark", "alternate"}
    assert brief[0].keys() == {"id", "name", "links"}
    details = {one["name"]: one for one in (await cloud("GET", "/images/detail", at=LAST)).json["images"]}
    assert (details["other"]["status"], details["other"]["progress"]) == ("SAVING", 25)
    shown = (await cloud("GET", f"/images/{SNAPSHOT}", at=LAST)).json["image"]
    assert shown == details["snap"]
    assert (shown["status"], shown["progress"], shown["minRam"], shown["OS-EXT-IMG-SIZE:size"]) == (
        "ACTIVE", 100, 64, 16 << 20,
    )  # fmt: skip
    assert (shown["server"]["id"], shown["OS-DCF:diskConfig"]) == (OTHER, "AUTO")
    assert "server" not in details["cirros"]

    async def names(query: str) -> list[str]:
        return [one["name"] for one in (await cloud("GET", f"/images?{query}", at=LAST)).json["images"]]

    assert await names("name=other") == ["other"]
    assert await names("status=ACTIVE&type=snapshot") == ["snap"]
    assert await names(f"server=http://x/servers/{OTHER}") == ["snap"]
    assert await names("property-image_type=snapshot") == ["snap"]
    assert await names("property-most=1") == await names("property-ctx=1") == []
    first = (await cloud("GET", "/images?limit=2", at=LAST)).json
    (more,) = first["images_links"]
    assert (more["rel"], f"marker={first['images'][1]['id']}" in more["href"]) == ("next", True)


async def test_metadata(cloud: Cloud) -> None:
    several(cloud)
    path = f"/images/{SNAPSHOT}/metadata"
    before = (await cloud("GET", path, at=LAST_METADATA)).json["metadata"]
    assert before["image_type"] == "snapshot"
    added = await cloud("POST", path, json={"metadata": {"a": "1", "image_type": "x"}}, at=LAST_METADATA)
    assert added.json["metadata"] == {**before, "a": "1", "image_type": "x"} == cloud.images.held[SNAPSHOT].properties
    assert (await cloud("GET", path + "/a", at=LAST_METADATA)).json == {"meta": {"a": "1"}}
    put = await cloud("PUT", path + "/a", json={"meta": {"a": "2"}}, at=LAST_METADATA)
    assert (put.status, put.json) == (200, {"meta": {"a": "2"}})
    assert (await cloud("PUT", path + "/b", json={"meta": {"a": "2"}}, at=LAST_METADATA)).status == 400
    assert (await cloud("DELETE", path + "/a", at=LAST_METADATA)).status == 204
    for method in ("GET", "DELETE"):
        assert (await cloud(method, path + "/a", at=LAST_METADATA)).status == 404
    replaced = await cloud("PUT", path, json={"metadata": {"only": "this"}}, at=LAST_METADATA)
    assert replaced.json["metadata"] == {"only": "this"} == cloud.images.held[SNAPSHOT].properties
    cloud.images.refuses = errors.Forbidden("no")
    answer = await cloud("DELETE", path + "/only", at=LAST_METADATA)
    assert (answer.status, answer.json["forbidden"]["message"]) == (403, "You are not allowed to change the image.")


async def test_deletion_and_what_is_not_there(cloud: Cloud) -> None:
    assert (await cloud("DELETE", f"/images/{IMAGE}", at=LAST)).status == 204
    assert cloud.images.held == {}
    for path, at in (("", LAST), ("/metadata", LAST_METADATA)):
        answer = await cloud("GET", f"/images/{NOWHERE}{path}", at=at)
        assert (answer.status, answer.json["itemNotFound"]["message"]) == (404, "Image not found.")
    assert (await cloud("DELETE", f"/images/{NOWHERE}", at=LAST)).status == 404


async def test_later_clients_ask_the_image_service(cloud: Cloud) -> None:
    for path, at in (("/images", "2.36"), (f"/images/{IMAGE}", "2.36"), (f"/images/{IMAGE}/metadata", "2.39")):
        assert (await cloud("GET", path, at=at)).status == 404, path


async def test_an_empty_id_and_a_method_that_a_path_does_not_have_are_not_found(cloud: Cloud) -> None:
    """As upstream."""
    for method, path in (
        ("DELETE", "/images/"), ("DELETE", "/servers/"), ("PATCH", "/flavors"), ("PUT", "/os-hosts"), ("GET", "/servers/"),
        ("GET", "/os-simple-tenant-usage/?detailed=1"),
    ):  # fmt: skip
        answer = await cloud(method, path, at=LAST)
        assert (answer.status, list(answer.json)) == (404, ["itemNotFound"]), path
