"""Registering, showing, changing and deleting images through the HTTP API."""

from __future__ import annotations

import asyncio

import pytest

from kilonova.core.db.migrate import drift
from tests.service.image.support import IMAGES, JSON, active, create, digests, patch, put, show, stored
from tests.support import OTHER_PROJECT, PROJECT

ID = "aaaaaaaa-0000-4000-8000-000000000001"


async def test_tables_and_migrations_agree(cloud):
    assert await drift(cloud.service.database) == []


async def test_the_life_of_an_image(cloud, client):
    data = bytes(range(256)) * 100
    image = await create(client, name="tiny", id=ID, min_disk=1, tags=["b", "a"], hw_disk_bus="virtio")
    assert image["id"] == ID
    assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", PROJECT)
    assert (image["size"], image["checksum"], image["hw_disk_bus"], image["tags"]) == (None, None, "virtio", ["a", "b"])
    assert (image["self"], image["file"], image["schema"]) == (
        f"/v2/images/{ID}", f"/v2/images/{ID}/file", "/v2/schemas/image")  # fmt: skip
    assert (await client("GET", f"{IMAGES}/{ID}/file", token="member")).status == 204

    assert (await put(client, ID, data)).status == 204
    image = await show(client, ID)
    md5, sha512 = digests(data)
    assert image["status"] == "active"
    assert (image["size"], image["virtual_size"], image["checksum"]) == (len(data), len(data), md5)
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", sha512)
    got = await client("GET", f"{IMAGES}/{ID}/file", token="member")
    assert (got.status, got.content, got.headers["content-md5"]) == (200, data, md5)
    assert got.headers["content-type"] == "application/octet-stream"
    assert stored(cloud.folder) == [ID]
    assert (await client("GET", f"{IMAGES}/{ID}/tasks", token="member")).json == {"tasks": []}

    assert (await client("DELETE", f"{IMAGES}/{ID}", token="member")).status == 204
    assert (await client("GET", f"{IMAGES}/{ID}", token="member")).status == 404
    assert stored(cloud.folder) == []
    again = await client("POST", IMAGES, token="member", json={"id": ID}, headers=JSON)
    assert again.status == 409  # hosts may still hold the old data under this id


async def test_create_answers_where_the_image_is(client):
    answer = await client("POST", IMAGES, token="member", json={"name": "x"}, headers=JSON)
    assert answer.status == 201
    assert answer.headers["location"] == f"http://kilonova.test{IMAGES}/{answer.json['id']}"


async def test_versions_and_schemas(client):
    root = await client("GET", "/image", token=None)
    assert root.status == 300
    listed = await client("GET", "/image/versions", token=None)
    assert listed.status == 200
    assert listed.json == root.json
    current = listed.json["versions"][0]
    assert (current["id"], current["status"]) == ("v2.17", "CURRENT")
    assert current["links"] == [{"rel": "self", "href": "http://kilonova.test/image/v2/"}]
    assert {"v2.0", "v2.13", "v2.15"} < {version["id"] for version in listed.json["versions"]}

    schema = (await client("GET", "/image/v2/schemas/image", token="member")).json
    assert schema["name"] == "image"
    assert schema["additionalProperties"] == {"type": "string"}
    assert schema["properties"]["disk_format"]["type"] == ["null", "string"]
    assert "qcow2" in schema["properties"]["disk_format"]["enum"]
    assert schema["properties"]["status"]["readOnly"]
    for name, item in (("images", "images"), ("members", "members"), ("member", "member_id")):
        found = (await client("GET", f"/image/v2/schemas/{name}", token="member")).json
        assert (found["name"], item in found["properties"]) == (name, True)
    assert (await client("GET", "/image/v2/info/import", token="member")).json["import-methods"]["value"] == []
    stores = await client("GET", "/image/v2/info/stores", token="member")
    assert stores.json == {"stores": [{"id": "file", "default": "true"}]}


async def test_patch_adds_replaces_and_removes(client):
    image = await create(client, os_distro="debian", tags=["old"])
    answer = await patch(
        client, image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/hw~1odd~0key", "value": "a/b~c"},
        {"op": "replace", "path": "/os_distro", "value": "smoke"},
        {"op": "replace", "path": "/tags", "value": ["z", "y", "z"]},
        {"op": "add", "path": "/os_hidden", "value": True},
    )  # fmt: skip
    assert answer.status == 200
    changed = answer.json
    assert (changed["name"], changed["hw/odd~key"], changed["os_distro"]) == ("new", "a/b~c", "smoke")
    assert (changed["tags"], changed["os_hidden"]) == (["y", "z"], True)
    assert changed == await show(client, image["id"])
    answer = await patch(client, image["id"], {"op": "remove", "path": "/os_distro"})
    assert "os_distro" not in answer.json


@pytest.mark.parametrize(
    ("change", "status", "part"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403, "Attribute 'status' is read-only."),
        ({"op": "replace", "path": "/size", "value": 1}, 403, "Attribute 'size' is read-only."),
        ({"op": "add", "path": "/checksum", "value": "0" * 32}, 403, "read-only"),
        ({"op": "replace", "path": "/id", "value": ID}, 403, "read-only"),
        ({"op": "add", "path": "/stores", "value": "x"}, 403, "read-only"),
        ({"op": "add", "path": "/os_glance_import_task", "value": "x"}, 403, "reserved"),
        ({"op": "add", "path": "/deleted", "value": "x"}, 403, "reserved"),
        (
            {"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd", "metadata": {}}},
            403,
            "locations",
        ),
        ({"op": "replace", "path": "/owner", "value": OTHER_PROJECT}, 403, "Owner can't be updated by non admin."),
        ({"op": "remove", "path": "/name"}, 403, "Property name may not be removed."),
        ({"op": "remove", "path": "/nothing"}, 409, "Property nothing does not exist."),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409, "Property nothing does not exist."),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403, "publicize_image"),
        ({"op": "replace", "path": "/visibility", "value": "secret"}, 400, "'secret' is not one of"),
        ({"op": "replace", "path": "/min_disk", "value": "1"}, 400, "'1' is not of type 'integer'"),
        ({"op": "replace", "path": "/min_disk", "value": True}, 400, "True is not of type 'integer'"),
        ({"op": "replace", "path": "/min_ram", "value": 1 << 40}, 400, "is not between 0 and"),
        ({"op": "replace", "path": "/protected", "value": "yes"}, 400, "'yes' is not of type 'boolean'"),
        ({"op": "replace", "path": "/tags", "value": "x"}, 400, "is not of type 'array'"),
        ({"op": "replace", "path": "/tags", "value": [1]}, 400, "1 is not of type 'string'"),
        ({"op": "replace", "path": "/name", "value": "n" * 256}, 400, "is too long"),
        ({"op": "add", "path": "/" + "k" * 256, "value": "x"}, 400, "255"),
        ({"op": "add", "path": "/x", "value": {"a": "b"}}, 400, "is not of type 'string'"),
        ({"op": "add", "path": "/x", "value": "a\x00b"}, 400, "NUL"),
        ({"op": "add", "path": "/x\ny", "value": "a"}, 400, "control"),
        ({"op": "add", "path": "/kernel_id", "value": "../../etc"}, 400, "does not match"),
        ({"op": "add", "path": "/x"}, 400, 'requires a member named "value"'),
        ({"op": "test", "path": "/x", "value": "a"}, 400, "Invalid operation: `test`"),
        ({"path": "/x", "value": "a"}, 400, "Unable to find `op`"),
        ({"op": "add", "value": "a"}, 400, "Unable to find 'path'"),
        ({"op": "add", "path": "x", "value": "a"}, 400, 'does not start with "/"'),
        ({"op": "add", "path": "/x/", "value": "a"}, 400, 'end with "/"'),
        ({"op": "add", "path": "/a//b", "value": "a"}, 400, 'adjacent "/"'),
        ({"op": "add", "path": "/a~2", "value": "a"}, 400, "escape sequence"),
        ({"op": "add", "path": "/a/b", "value": "a"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/", "value": "a"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": 3, "value": "a"}, 400, "path"),
        ({"op": ["add"], "path": "/x", "value": "a"}, 400, "Invalid operation"),
        ("text", 400, "Operations must be JSON objects."),
    ],
)
async def test_patches_that_are_refused_change_nothing(client, change, status, part):
    image = await create(client)
    answer = await patch(client, image["id"], {"op": "replace", "path": "/name", "value": "changed"}, change)
    assert answer.status == status, answer.content
    assert part in answer.json["message"]
    assert await show(client, image["id"]) == image


async def test_formats_are_fixed_once_there_are_data(client):
    image = await active(client)
    answer = await patch(client, image["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"})
    assert (answer.status, answer.json["message"]) == (
        403, "Attribute disk_format can be only replaced for a queued image.")  # fmt: skip


async def test_the_older_patch_names_operations_as_members(client):
    image = await create(client, os_distro="debian")
    older = JSON | {"content-type": "application/openstack-images-v2.0-json-patch"}

    async def change(*operations):
        return await client("PATCH", f"{IMAGES}/{image['id']}", token="member", json=list(operations), headers=older)

    answer = await change(
        {"replace": "/name", "value": "new"}, {"add": "/colour", "value": "red"}, {"remove": "/os_distro"}
    )
    assert (answer.json["name"], answer.json["colour"], "os_distro" in answer.json) == ("new", "red", False)
    for wrong, status in (
        ({"op": "replace", "path": "/name", "value": "x"}, 400),
        ({"replace": "/name", "add": "/name", "value": "x"}, 400),
        ({"replace": "/name"}, 400),
        ("replace", 400),
        ({"add": "/owner_specified", "value": "x", "op": "remove"}, 200),
        ({"replace": "/status", "value": "active"}, 403),
    ):
        assert (await change(wrong)).status == status, wrong


async def test_a_forgotten_id_is_no_list(client):
    assert (await client("GET", f"{IMAGES}/", token="member", headers=JSON)).status == 404
    assert (await client("DELETE", f"{IMAGES}/", token="member", headers=JSON)).status == 404
    assert (await client("DELETE", IMAGES, token="member", headers=JSON)).status == 405
    assert (await client("GET", IMAGES, token="member", headers=JSON)).status == 200


async def test_patch_wants_its_content_type(client):
    image = await create(client)
    answer = await client("PATCH", f"{IMAGES}/{image['id']}", token="member", json=[], headers=JSON)
    assert answer.status == 415
    assert "openstack-images-v2.1-json-patch" in answer.headers["accept-patch"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"visibility": "secret"}, 400, "is not one of"),
        ({"visibility": "public"}, 403, "publicize_image"),
        ({"disk_format": "exe"}, 400, "is not one of"),
        ({"container_format": 7}, 400, "7 is not of type 'null', 'string'"),
        ({"id": "../../../etc/passwd"}, 400, "does not match"),
        ({"id": ID + "\n"}, 400, "does not match"),
        ({"status": "active"}, 403, "Attribute 'status' is read-only."),
        ({"checksum": "0" * 32}, 403, "read-only"),
        ({"self": "x"}, 403, "read-only"),
        ({"locations": []}, 403, "Attribute 'locations' is reserved."),
        ({"os_glance_x": "1"}, 403, "reserved"),
        ({"owner": OTHER_PROJECT}, 403, f"You are not permitted to create images owned by '{OTHER_PROJECT}'"),
        ({"owner": None}, 403, "owned by"),
        ({"min_disk": -1}, 400, "is not between"),
        ({"min_disk": 1.5}, 400, "is not of type 'integer'"),
        ({"name": ["a"]}, 400, "is not of type"),
        ({"name": "a\nb"}, 400, "control"),
        ({"hw_x": 3}, 400, "3 is not of type 'string'"),
        ({"hw_x": None}, 400, "None is not of type 'string'"),
        ({"": "x"}, 400, "property names"),
        ({f"p{n}": "x" for n in range(129)}, 413, "Maximum: 128"),
        ({"tags": [str(n) for n in range(129)]}, 413, "Maximum: 128"),
        ({"tags": ["t" * 256]}, 400, "too long"),
    ],
)
async def test_bodies_that_are_refused(client, body, status, part):
    answer = await client("POST", IMAGES, token="member", json=body, headers=JSON)
    assert answer.status == status, answer.content
    assert part in answer.json["message"]
    assert (await client("GET", IMAGES, token="admin")).json["images"] == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"name": "\xed\xa0\x80"}', b"[" * 5000]
)
async def test_malformed_json(client, content):
    for method, path in (("POST", IMAGES), ("POST", f"{IMAGES}/{ID}/members"), ("PUT", f"{IMAGES}/{ID}/members/x")):
        answer = await client(method, path, token="member", content=content, headers=JSON)
        assert answer.status == 400, (method, path, answer.content)


async def test_huge_bodies_are_not_read(client):
    for method, path in (("POST", IMAGES), ("POST", f"{IMAGES}/{ID}/members")):
        answer = await client(method, path, token="member", content=b"[" * (2 << 20), headers=JSON)
        assert answer.status == 413


@pytest.mark.parametrize(
    "name", ["Ωμέγα 🚀", "../../etc/passwd", "<script>alert(1)</script>", "'; DROP TABLE images; --", "%s%n"]
)
async def test_hostile_names_are_only_names(client, name):
    image = await create(client, name=name, tags=[name], **{name: name})
    assert (image["name"], image["tags"], image[name]) == (name, [name], name)
    for query in ({"name": name}, {"tag": name}):
        assert await ids(client, **query) == [image["id"]]


async def ids(client, **query):
    from urllib.parse import urlencode

    answer = await client("GET", f"{IMAGES}?{urlencode(query)}", token="member")
    return [image["id"] for image in answer.json["images"]]


@pytest.mark.parametrize("wrong", ["nothing", "a" * 300, "{" + ID + "}", ID.replace("-", ""), ID + "%0a"])
async def test_ids_that_are_none(client, wrong):
    for method, path in (("GET", wrong), ("GET", f"{wrong}/file"), ("DELETE", wrong), ("GET", f"{wrong}/members")):
        answer = await client(method, f"{IMAGES}/{path}", token="admin", headers=JSON)
        assert answer.status == 404, path


async def test_html_in_errors_is_escaped(client):
    answer = await client("GET", f"{IMAGES}?visibility=%3Cscript%3E", token="member")
    assert answer.status == 400
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<script>" not in answer.content
    assert b"&lt;script&gt;" in answer.content


async def test_protected_images_stay(cloud, client):
    image = await active(client, protected=True)
    answer = await client("DELETE", f"{IMAGES}/{image['id']}", token="member", headers=JSON)
    assert (answer.status, answer.json["message"]) == (
        403, f"Image {image['id']} is protected and cannot be deleted.")  # fmt: skip
    await patch(client, image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert (await client("DELETE", f"{IMAGES}/{image['id']}", token="member")).status == 204
    assert stored(cloud.folder) == []


async def test_deactivate_and_reactivate(client):
    queued = await create(client)
    answer = await client("POST", f"{IMAGES}/{queued['id']}/actions/deactivate", token="member", headers=JSON)
    assert (answer.status, answer.json["message"]) == (403, "Not allowed to deactivate image in status 'queued'")
    image = await active(client)
    path = f"{IMAGES}/{image['id']}"
    for _ in range(2):
        assert (await client("POST", f"{path}/actions/deactivate", token="member")).status == 204
    assert (await show(client, image["id"]))["status"] == "deactivated"
    assert (await client("GET", f"{path}/file", token="member")).status == 403
    assert (await client("GET", f"{path}/file", token="admin")).status == 200
    for _ in range(2):
        assert (await client("POST", f"{path}/actions/reactivate", token="member")).status == 204
    assert (await client("GET", f"{path}/file", token="member")).status == 200


async def test_tags(client):
    image = await create(client)
    path = f"{IMAGES}/{image['id']}/tags"
    for tag in ("one", "two%20words", "one"):
        assert (await client("PUT", f"{path}/{tag}", token="member")).status == 204
    assert (await show(client, image["id"]))["tags"] == ["one", "two words"]
    assert (await client("DELETE", f"{path}/one", token="member")).status == 204
    assert (await client("DELETE", f"{path}/one", token="member")).status == 404
    assert (await client("PUT", f"{path}/{'t' * 256}", token="member")).status == 400
    assert (await show(client, image["id"]))["tags"] == ["two words"]


async def test_changes_at_once_are_all_kept(client):
    image = await create(client)
    answers = await asyncio.gather(
        *(patch(client, image["id"], {"op": "add", "path": f"/p{n}", "value": str(n)}) for n in range(10)),
        *(client("PUT", f"{IMAGES}/{image['id']}/tags/t{n}", token="member") for n in range(10)),
    )
    assert {answer.status for answer in answers} == {200, 204}
    shown = await show(client, image["id"])
    assert shown["tags"] == [f"t{n}" for n in range(10)]
    assert [shown[f"p{n}"] for n in range(10)] == [str(n) for n in range(10)]


async def test_an_admin_changes_an_images_owner(client):
    image = await create(client)
    answer = await patch(
        client, image["id"], {"op": "replace", "path": "/owner", "value": OTHER_PROJECT}, token="admin"
    )
    assert answer.json["owner"] == OTHER_PROJECT
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="member")).status == 404
    assert (await client("GET", f"{IMAGES}/{image['id']}", token="foreign")).status == 200


async def test_ami_style_images(client):
    kernel = await active(client, disk_format="aki", container_format="aki", data=b"MZ" + bytes(1000))
    ramdisk = await active(client, disk_format="ari", container_format="ari", data=b"\x1f\x8b" + bytes(1000))
    root = await active(
        client, disk_format="ami", container_format="ami", kernel_id=kernel["id"], ramdisk_id=ramdisk["id"]
    )
    assert (root["kernel_id"], root["ramdisk_id"], root["status"]) == (kernel["id"], ramdisk["id"], "active")
    assert root["virtual_size"] is None
