"""Volumes through the API, with the conductor, an agent and a fake back end."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.volume.conftest import MISSING, Cloud


async def test_a_volume_lives(cloud: Cloud) -> None:
    made = await cloud.ok("POST", "/volumes", json={"volume": {"size": 2, "name": " disk ", "metadata": {"a": "b"}}})
    assert made["volume"]["status"] == "creating"
    volume = await cloud.status("volumes", made["volume"]["id"], "available")
    assert volume["name"] == "disk"
    assert volume["size"] == 2
    assert volume["metadata"] == {"a": "b"}
    assert volume["bootable"] == "false"
    assert volume["volume_type"] == "__DEFAULT__"
    assert volume["os-vol-host-attr:host"] == "node1@fake#fake"
    assert [stored.id for stored in await _stored(cloud)] == [volume["id"]]
    shown = (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]
    assert "os-vol-host-attr:host" not in shown  # of operators
    assert shown["os-vol-tenant-attr:tenant_id"] == "1" * 32
    renamed = await cloud.ok("PUT", f"/volumes/{volume['id']}", json={"volume": {"name": "x", "description": "d"}})
    assert (renamed["volume"]["name"], renamed["volume"]["description"]) == ("x", "d")
    assert (await cloud("DELETE", f"/volumes/{volume['id']}")).status == 202
    await cloud.status("volumes", volume["id"], "gone")
    assert await _stored(cloud) == []


async def _stored(cloud: Cloud, host: str = "node1"):
    return await cloud.agents[host].backends[f"{host}@fake"].driver.volumes()


@pytest.mark.parametrize("size", [0, -1, "#$%", 1.5, "", [], True])
async def test_sizes_that_are_none(cloud: Cloud, size: object) -> None:
    answer = await cloud("POST", "/volumes", json={"volume": {"size": size}})
    assert answer.status == 400
    assert answer.json["badRequest"]["code"] == 400
    assert (await cloud.ok("GET", "/volumes"))["volumes"] == []


async def test_another_project_sees_nothing(cloud: Cloud) -> None:
    volume = await cloud.volume()
    snapshot = await cloud.snapshot(volume["id"])
    one, other = f"/volumes/{volume['id']}", f"/snapshots/{snapshot['id']}"
    for method, path, body in [
        ("GET", one, None), ("PUT", one, {"volume": {"name": "x"}}), ("DELETE", one, None), ("GET", other, None),
        ("DELETE", other, None), ("POST", f"{one}/action", {"os-extend": {"new_size": 2}}), ("GET", f"{one}/metadata", None),
        ("POST", "/snapshots", {"snapshot": {"volume_id": volume["id"]}}),
        ("POST", "/attachments", {"attachment": {"volume_uuid": volume["id"]}}),
    ]:  # fmt: skip
        answer = await cloud(method, path, "foreign", body)
        assert (answer.status, path) == (404, path)
        assert answer.json["itemNotFound"]["code"] == 404
    assert (await cloud.ok("GET", "/volumes?all_tenants=1", "foreign"))["volumes"] == []
    sources = {"snapshot_id": snapshot["id"], "source_volid": volume["id"]}
    for name, source in sources.items():
        assert (await cloud("POST", "/volumes", "foreign", {"volume": {"size": 1, name: source}})).status == 404
    assert len((await cloud.ok("GET", "/volumes?all_tenants=1", "admin"))["volumes"]) == 1


async def test_the_url_may_name_the_project(cloud: Cloud) -> None:
    project = "1" * 32
    assert (await cloud("GET", f"/{project}/volumes")).json == {"volumes": []}
    assert (await cloud("GET", f"/{'2' * 32}/volumes")).status == 400
    volume = await cloud.volume()
    shown = (await cloud("GET", f"/{project}/volumes/{volume['id']}")).json["volume"]
    assert shown["links"][0]["href"].endswith(f"/volume/v3/{project}/volumes/{volume['id']}")


async def test_an_id_that_was_forgotten_is_no_list(cloud: Cloud) -> None:
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"volume": {"name": "x"}})):
        for path in ("/volumes/", f"/{'1' * 32}/volumes/", "/snapshots/"):
            if path != "/snapshots/" or method != "PUT":
                assert (await cloud(method, path, json=body)).status == 404, (method, path)
    assert (await cloud("DELETE", "/volumes")).status == 404
    assert (await cloud.client("GET", "/volume/v3/", token=None)).status == 200


async def test_copies_of_volumes_and_snapshots(cloud: Cloud) -> None:
    volume = await cloud.volume(size=2, metadata={"k": "v"})
    snapshot = await cloud.snapshot(volume["id"], name="s", metadata={"m": "n"})
    assert snapshot["size"] == 2
    assert snapshot["os-extended-snapshot-attributes:progress"] == "100%"
    made = (await cloud.ok("POST", "/volumes", json={"volume": {"snapshot_id": snapshot["id"]}}))["volume"]
    copy = await cloud.status("volumes", made["id"], "available")
    assert (copy["size"], copy["snapshot_id"]) == (2, snapshot["id"])
    clone = await cloud.volume(size=3, source_volid=volume["id"])
    assert (clone["size"], clone["source_volid"]) == (3, volume["id"])
    assert (await cloud("POST", "/volumes", json={"volume": {"size": 1, "source_volid": volume["id"]}})).status == 400
    assert (await cloud("DELETE", f"/volumes/{volume['id']}")).status == 400  # it has a snapshot
    assert (await cloud("DELETE", f"/volumes/{volume['id']}?cascade=true")).status == 202
    await cloud.status("snapshots", snapshot["id"], "gone")
    await cloud.status("volumes", volume["id"], "gone")


async def test_a_volume_of_an_image_and_back(cloud: Cloud) -> None:
    image = await _image(cloud)
    volume = await cloud.volume(imageRef=image)
    assert volume["bootable"] == "true"
    assert volume["volume_image_metadata"]["image_id"] == image
    assert volume["volume_image_metadata"]["image_name"] == "cirros"
    answer = await cloud.act(volume["id"], "os-volume_upload_image", {"image_name": "copy", "disk_format": "raw"})
    assert answer.status == 202
    copy = answer.json["os-volume_upload_image"]["image_id"]
    await cloud.status("volumes", volume["id"], "available")
    found = (await cloud.client("GET", f"/image/v2/images/{copy}", token="member")).json
    assert (found["status"], found["name"], found["owner"]) == ("active", "copy", "1" * 32)
    assert (await cloud("POST", "/volumes", json={"volume": {"size": 1, "imageRef": MISSING}})).status == 400


async def test_an_upload_that_fails_leaves_no_image(cloud: Cloud) -> None:
    volume = await cloud.volume()  # the fake back end's qcow2 is none
    answer = await cloud.act(volume["id"], "os-volume_upload_image", {"image_name": "copy", "disk_format": "qcow2"})
    await cloud.status("volumes", volume["id"], "available")
    image = answer.json["os-volume_upload_image"]["image_id"]
    assert (await cloud.client("GET", f"/image/v2/images/{image}", token="member")).status == 404
    (message,) = (await cloud.ok("GET", f"/messages?resource_uuid={volume['id']}"))["messages"]
    assert message["event_id"] == "VOLUME_VOLUME_003_004"


async def _image(cloud: Cloud) -> str:
    body = {"name": "cirros", "disk_format": "raw", "container_format": "bare"}
    image = (await cloud.client("POST", "/image/v2/images", token="member", json=body)).json["id"]
    headers = {"content-type": "application/octet-stream"}
    path = f"/image/v2/images/{image}/file"
    assert (await cloud.client("PUT", path, token="member", content=b"x" * 4096, headers=headers)).status == 204
    return str(image)


async def test_extending(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (await cloud.act(volume["id"], "os-extend", {"new_size": 1})).status == 400
    assert (await cloud.act(volume["id"], "os-extend", {"new_size": 4})).status == 202
    assert (await cloud.status("volumes", volume["id"], "available"))["size"] == 4
    limits = (await cloud.ok("GET", "/limits"))["limits"]["absolute"]
    assert (limits["totalVolumesUsed"], limits["totalGigabytesUsed"]) == (1, 4)


async def test_quotas_hold_against_requests_of_one_moment(cloud: Cloud) -> None:
    project = "1" * 32
    await cloud.ok("PUT", f"/os-quota-sets/{project}", "admin", {"quota_set": {"volumes": 3, "gigabytes": 5}})
    body = {"volume": {"size": 1}}
    answers = await asyncio.gather(*(cloud("POST", "/volumes", json=body) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [202] * 3 + [413] * 5
    refused = next(answer for answer in answers if answer.status == 413)
    assert refused.json["overLimit"]["message"].startswith("VolumeLimitExceeded")
    volume = (await cloud.ok("GET", "/volumes"))["volumes"][0]
    await cloud.status("volumes", volume["id"], "available")
    assert (await cloud.act(volume["id"], "os-extend", {"new_size": 4})).status == 413
    used = (await cloud.ok("GET", f"/os-quota-sets/{project}?usage=true", "admin"))["quota_set"]
    assert used["volumes"] == {"limit": 3, "in_use": 3, "reserved": 0, "allocated": 0}
    assert (await cloud.ok("GET", f"/os-quota-sets/{project}?usage=true"))["quota_set"]["gigabytes"]["in_use"] == 3
    assert (await cloud("GET", f"/os-quota-sets/{project}", "foreign")).status == 403


async def test_metadata_of_volumes_and_snapshots(cloud: Cloud) -> None:
    volume = await cloud.volume()
    snapshot = await cloud.snapshot(volume["id"])
    for path in (f"/volumes/{volume['id']}/metadata", f"/snapshots/{snapshot['id']}/metadata"):
        assert await cloud.ok("POST", path, json={"metadata": {"a": "1", "b": "2"}}) == {
            "metadata": {"a": "1", "b": "2"}
        }
        assert await cloud.ok("PUT", f"{path}/a", json={"meta": {"a": "3"}}) == {"meta": {"a": "3"}}
        assert await cloud.ok("GET", f"{path}/a") == {"meta": {"a": "3"}}
        assert await cloud.ok("PUT", path, json={"metadata": {"c": "4"}}) == {"metadata": {"c": "4"}}
        assert (await cloud("DELETE", f"{path}/c")).status == 200
        assert (await cloud("DELETE", f"{path}/c")).status == 404
        assert (await cloud("POST", path, json={"metadata": {"x" * 256: "1"}})).status == 400


async def test_lists(cloud: Cloud) -> None:
    made = [await cloud.volume(name=f"v{n}", metadata={"n": str(n)}) for n in range(3)]
    page = await cloud.ok("GET", "/volumes?limit=2&sort=name:asc")
    assert [volume["name"] for volume in page["volumes"]] == ["v0", "v1"]
    assert "marker=" + made[1]["id"] in page["volumes_links"][0]["href"]
    rest = await cloud.ok("GET", f"/volumes/detail?limit=2&sort=name:asc&marker={made[1]['id']}")
    assert [volume["name"] for volume in rest["volumes"]] == ["v2"]
    for query in ("name=v1", "metadata={'n': '1'}", "name~=1&with_count=true"):
        assert [volume["name"] for volume in (await cloud.ok("GET", f"/volumes?{query}"))["volumes"]] == ["v1"]
    assert (await cloud.ok("GET", "/volumes?limit=0"))["volumes"] == []
    for query in ("limit=-1", "limit=x", "sort=nothing", "sort=name:up", "metadata=1", "offset=x", "bootable=maybe"):
        assert (await cloud("GET", f"/volumes?{query}")).status == 400, query
    assert (await cloud("GET", f"/volumes?marker={MISSING}")).status == 404
    summary = (await cloud.ok("GET", "/volumes/summary"))["volume-summary"]
    assert summary == {"total_size": 3, "total_count": 3, "metadata": {"n": ["0", "1", "2"]}}


async def test_flags(cloud: Cloud) -> None:
    volume = await cloud.volume()
    assert (await cloud.act(volume["id"], "os-set_bootable", {"bootable": True})).status == 200
    assert (await cloud.act(volume["id"], "os-update_readonly_flag", {"readonly": "true"})).status == 202
    shown = (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]
    assert (shown["bootable"], shown["metadata"]) == ("true", {"readonly": "True"})
    assert (await cloud.act(volume["id"], "os-update_readonly_flag", {"readonly": False})).status == 202
    assert (await cloud.ok("GET", f"/volumes/{volume['id']}"))["volume"]["metadata"] == {"readonly": "False"}
    assert await cloud.ok("GET", f"/volumes/{volume['id']}/metadata") == {"metadata": {}}
    answer = await cloud.act(volume["id"], "os-set_image_metadata", {"metadata": {"image_id": "x"}})
    assert answer.json == {"metadata": {"image_id": "x"}}
    assert (await cloud.act(volume["id"], "os-unset_image_metadata", {"key": "image_id"})).status == 200
    assert (await cloud.act(volume["id"], "os-show_image_metadata")).json == {"metadata": {}}
    assert (await cloud.act(volume["id"], "os-reset_status", {"status": "error"})).status == 403
    assert (await cloud.act(volume["id"], "os-reset_status", {"status": "error"}, "admin")).status == 202
    assert (await cloud.act(volume["id"], "os-reset_status", {"status": "nonsense"}, "admin")).status == 400
    await cloud.status("volumes", volume["id"], "error")
    for nonsense in ({}, {"a": 1, "b": 2}, {"nothing": {}}):
        assert (await cloud("POST", f"/volumes/{volume['id']}/action", json=nonsense)).status == 400


async def test_going_back_to_the_newest_snapshot_alone(cloud: Cloud) -> None:
    volume = await cloud.volume()
    first, newest = await cloud.snapshot(volume["id"]), await cloud.snapshot(volume["id"])
    assert (await cloud.act(volume["id"], "revert", {"snapshot_id": first["id"]})).status == 400
    assert (await cloud.act(volume["id"], "revert", {"snapshot_id": newest["id"]})).status == 202
    await cloud.status("volumes", volume["id"], "available")
