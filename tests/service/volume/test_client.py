"""What compute asks of the volume service."""

from __future__ import annotations

import pytest

from kilonova.compute.volumes import VolumeOrder
from kilonova.core import errors
from kilonova.volume.client import VolumeClient
from tests.service.volume.conftest import MISSING, Cloud
from tests.support import OTHER_PROJECT, PROJECT

SERVER = "11111111-1111-4111-8111-111111111111"
ORDERED = "33333333-3333-4333-8333-333333333333"


async def test_an_order_is_one_volume(cloud: Cloud) -> None:
    client = VolumeClient(cloud.core)
    order = VolumeOrder(id=ORDERED, project_id=PROJECT, user_id="demo", size=1, name="root")
    assert (await client.order(order)).id == ORDERED
    assert (await client.order(order)).id == ORDERED
    await cloud.status("volumes", ORDERED, "available")
    (volume,) = (await cloud.ok("GET", "/volumes"))["volumes"]
    assert (volume["id"], volume["name"]) == (ORDERED, "root")
    with pytest.raises(errors.Conflict):
        await client.order(VolumeOrder(id=ORDERED, project_id=OTHER_PROJECT, user_id="x", size=1))
    body = {"volume": {"size": 1}, "kilonova:order": {"id": MISSING, "project_id": PROJECT, "user_id": "x"}}
    for user in ("member", "admin", "foreign", "host"):
        assert (await cloud("POST", "/volumes", user, body)).status == 403


async def test_a_volume_is_attached_and_let_go_of(cloud: Cloud) -> None:
    client = VolumeClient(cloud.core)
    volume = await cloud.volume()
    made = await client.attach(volume["id"], SERVER)
    assert (made.status, made.connection) == ("reserved", {})
    connected = await client.connect(made.id, {"host": "compute1", "mountpoint": "/dev/vdb"})
    assert connected.connection["driver_volume_type"] == "fake"
    await client.complete(made.id)
    facts = await client.volume(None, volume["id"])
    assert (facts.status, facts.attached_to, facts.project_id) == ("in-use", [SERVER], PROJECT)
    assert [held.id for held in await client.attachments(SERVER)] == [made.id]
    taken = await client.snapshot(None, (await client.take_snapshot(None, volume["id"], "s")).id)
    assert taken.volume_id == volume["id"]
    with pytest.raises(errors.BadRequest):
        await client.delete(volume["id"])
    await client.detach(made.id)
    await client.detach(made.id)
    assert (await client.volume(None, volume["id"])).status == "available"
    await client.delete(MISSING)
    with pytest.raises(errors.NotFound):
        await client.volume(None, MISSING)
    assert [name for _, name in await client.volume_types(None)] == ["__DEFAULT__"]
