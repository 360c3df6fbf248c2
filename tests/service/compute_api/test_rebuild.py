"""Rebuilding servers: what is checked, recorded, answered and sent to the host."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest

from kilonova.compute.options import ComputeOptions
from kilonova.compute.store import request_specs
from tests.service.compute_api.support import IMAGE, Cloud, image, make_cloud

OTHER = str(uuid.UUID(int=21))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGj0Sf7Bv3NR8cS1ix5YFzWZ5wQnJm1kQ1mK0oXc4l9g me"


async def rebuild(cloud: Cloud, server_id: str, at: str = "2.104", token: str = "member", **fields: Any) -> Any:
    cloud.images.held.setdefault(OTHER, image(OTHER, name="other"))
    body = {"rebuild": {"imageRef": OTHER} | fields}
    return await cloud("POST", f"/servers/{server_id}/action", at, token, json=body)


async def spec_of(cloud: Cloud, server_id: str) -> Any:
    async with cloud.service.database.reading() as connection:
        return await request_specs.get(connection, server_id)


@pytest.mark.parametrize("state", ["active", "stopped", "error"])
async def test_a_server_is_made_anew(cloud, state):
    server_id = await cloud.active(metadata={"old": "1"}, description="before")
    await cloud.row(server_id, vm_state=state)
    pair = {"keypair": {"name": "mine", "type": "ssh", "public_key": KEY}}
    assert (await cloud("POST", "/os-keypairs", json=pair)).status == 201
    fields = {
        "name": "new", "metadata": {"a": "b"}, "adminPass": "s3cret", "description": None, "key_name": "mine",
        "user_data": base64.b64encode(b"#!/bin/sh").decode(), "hostname": "other.example", "accessIPv4": "10.9.9.9",
        "accessIPv6": "fd00::9", "OS-DCF:diskConfig": "AUTO", "preserve_ephemeral": True,
    }  # fmt: skip
    answer = await rebuild(cloud, server_id, **fields)
    assert answer.status == 202, answer.content
    assert answer.headers["location"].endswith(f"/servers/{server_id}")
    shown = answer.json["server"]
    assert (shown["adminPass"], shown["user_data"], shown["key_name"]) == ("s3cret", fields["user_data"], "mine")
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("REBUILD", "rebuilding")
    assert (shown["image"]["id"], shown["name"], shown["metadata"]) == (OTHER, "new", {"a": "b"})
    assert (shown["description"], shown["accessIPv4"], shown["accessIPv6"]) == (None, "10.9.9.9", "fd00::9")
    ((_, (ref,)),) = cloud.agent.seen
    assert (ref.action, ref.build.server.vm_state, ref.build.server.task_state) == ("rebuild", state, "rebuilding")
    assert (ref.build.server.hostname, ref.build.server.name) == ("other.example", "new")
    spec = ref.build.spec
    assert (spec.image.id, spec.key_pair.name, spec.admin_pass, spec.preserve_ephemeral) == (
        OTHER,
        "mine",
        "s3cret",
        True,
    )
    again = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert "adminPass" not in again
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert [entry["action"] for entry in actions] == ["rebuild", "create"]


async def test_what_is_not_named_stays(cloud):
    server_id = await cloud.active(metadata={"old": "1"}, description="before", user_data="aGk=")
    answer = await rebuild(cloud, server_id, imageRef=IMAGE)
    shown = answer.json["server"]
    assert (shown["metadata"], shown["description"], shown["user_data"]) == ({"old": "1"}, "before", "aGk=")
    assert len(shown["adminPass"]) == 12
    await cloud.row(server_id, task_state=None)
    answer = await rebuild(cloud, server_id, user_data=None, key_name=None)
    assert (answer.json["server"]["user_data"], (await spec_of(cloud, server_id)).key_pair) == (None, None)


async def test_the_answer_by_microversion(cloud):
    server_id = await cloud.active()
    for at, there, absent in (
        ("2.1", {"adminPass", "progress"}, {"key_name", "user_data", "OS-EXT-STS:vm_state"}),
        ("2.54", {"key_name"}, {"user_data", "OS-EXT-STS:vm_state"}),
        ("2.57", {"user_data"}, {"OS-EXT-STS:vm_state"}),
        ("2.75", {"OS-EXT-STS:vm_state", "security_groups", "user_data"}, {"pinned_availability_zone"}),
    ):
        await cloud.row(server_id, task_state=None)
        shown = (await rebuild(cloud, server_id, at)).json["server"]
        assert there <= shown.keys(), at
        assert not absent & shown.keys(), at
    await cloud.row(server_id, task_state=None)
    full = (await rebuild(cloud, server_id, "2.75", token="admin")).json["server"]
    assert "OS-EXT-SRV-ATTR:host" in full
    assert "OS-EXT-SRV-ATTR:user_data" not in full


async def test_no_password_where_there_are_to_be_none(tmp_path):
    cloud = await make_cloud(tmp_path, ComputeOptions(enable_instance_password=False))
    try:
        assert "adminPass" not in (await cloud.boot()).json["server"]
        assert "adminPass" not in (await rebuild(cloud, await cloud.active())).json["server"]
    finally:
        await cloud.service.stop()


@pytest.mark.parametrize(
    ("at", "fields", "status", "words"),
    [
        ("2.104", {"imageRef": str(uuid.UUID(int=99))}, 400, "Can not find requested image"),
        ("2.104", {"imageRef": str(uuid.UUID(int=22))}, 400, "Flavor's memory is too small"),
        ("2.104", {"imageRef": str(uuid.UUID(int=23))}, 400, "Flavor's disk is smaller than the minimum"),
        ("2.104", {"imageRef": str(uuid.UUID(int=24))}, 400, "Flavor's disk is too small for requested image"),
        ("2.104", {"imageRef": str(uuid.UUID(int=25))}, 400, "is not active"),
        ("2.104", {"imageRef": "x"}, 400, "must be a UUID"),
        ("2.104", {"key_name": "none"}, 400, "Invalid key_name provided."),
        ("2.104", {"metadata": {str(n): "x" for n in range(129)}}, 403, "Maximum number of metadata items exceeds 128"),
        ("2.104", {"user_data": "%"}, 400, "User data needs to be valid base 64."),
        ("2.104", {"personality": []}, 400, "personality"),
        ("2.18", {"description": "x"}, 400, "description"),
        ("2.53", {"key_name": "x"}, 400, "key_name"),
        ("2.56", {"user_data": "aGk="}, 400, "user_data"),
        ("2.62", {"trusted_image_certificates": ["a"]}, 400, "trusted_image_certificates"),
        ("2.89", {"hostname": "x1"}, 400, "hostname"),
        ("2.56", {"personality": [{"path": "/a", "contents": "aGk="}] * 6}, 403, "Personality file limit exceeded"),
        ("2.104", {"accessIPv4": "fd00::1"}, 400, "is not an IPv4 address"),
        ("2.104", {"name": ""}, 400, "name"),
    ],
)  # fmt: skip
async def test_refusals_change_nothing(cloud, at, fields, status, words):
    server_id = await cloud.active()
    unfit = {22: {"min_ram": 999999}, 23: {"min_disk": 9999}, 24: {"size": 1 << 50}, 25: {"status": "queued"}}
    for number, more in unfit.items():
        cloud.images.held[str(uuid.UUID(int=number))] = image(str(uuid.UUID(int=number)), **more)
    before = (await cloud("GET", f"/servers/{server_id}")).json
    answer = await rebuild(cloud, server_id, at, **fields)
    assert (answer.status, words in answer.content.decode()) == (status, True), answer.content
    assert (await cloud("GET", f"/servers/{server_id}")).json == before
    assert cloud.agent.seen == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vm_state": "paused"}, "Cannot 'rebuild' instance {id} while it is in vm_state paused"),
        ({"task_state": "rebuilding"}, "Cannot 'rebuild' instance {id} while it is in task_state rebuilding"),
        ({"locked_by": "owner"}, "Instance {id} is locked"),
        ({"host": None}, "Instance {id} is not ready"),
    ],
)
async def test_states_that_forbid_it(cloud, values, words):
    server_id = await cloud.active()
    await cloud.row(server_id, **values)
    answer = await rebuild(cloud, server_id)
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words.format(id=server_id))
    assert (await spec_of(cloud, server_id)).image.id == IMAGE


async def test_files_until_their_last_microversion(cloud):
    server_id = await cloud.active()
    await rebuild(cloud, server_id, "2.56", personality=[{"path": "/etc/motd", "contents": "aGk="}])
    (file,) = (await spec_of(cloud, server_id)).personality
    assert (file.path, file.contents) == ("/etc/motd", b"hi")


async def test_only_members_of_its_project_may(cloud):
    server_id = await cloud.active()
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await rebuild(cloud, server_id, token=token)).status == status
