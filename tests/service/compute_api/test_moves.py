"""Requests to resize, migrate, confirm and revert: what is recorded, sent and refused."""

from __future__ import annotations

import pytest

from tests.service.compute_api.test_actions import act


async def flavor(cloud, flavor_id, **fields):
    body = {"id": flavor_id, "name": f"f{flavor_id}", "ram": 1024, "vcpus": 2, "disk": 1} | fields
    assert (await cloud("POST", "/flavors", token="admin", json={"flavor": body})).status == 200


async def moves(cloud, server_id, at="2.104"):
    found = await cloud("GET", f"/os-migrations?instance_uuid={server_id}", at, "admin")
    return found.json["migrations"]


async def test_resize_is_recorded_and_handed_on(cloud):
    await flavor(cloud, "big")
    server_id = await cloud.active()
    cloud.conductor.seen.clear()
    answer = await act(cloud, server_id, resize={"flavorRef": "big", "OS-DCF:diskConfig": "AUTO"})
    assert (answer.status, answer.content) == (202, b"")
    ((method, (moved, migration)),) = await cloud.conductor.wait()
    assert (method, moved) == ("move_server", server_id)
    shown = (await cloud("GET", f"/servers/{server_id}", token="admin")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["OS-DCF:diskConfig"]) == (
        "RESIZE",
        "resize_prep",
        "AUTO",
    )
    assert shown["flavor"]["vcpus"] == 1  # the old one until it is there
    (record,) = await moves(cloud, server_id)
    assert (record["uuid"], record["status"], record["migration_type"]) == (migration, "accepted", "resize")
    assert (record["source_compute"], record["dest_compute"]) == ("host-1", None)
    assert record["old_instance_type_id"] != record["new_instance_type_id"]
    # counted at once, so that two requests do not pass one limit together
    limits = (await cloud("GET", "/limits")).json["limits"]["absolute"]
    assert (limits["totalCoresUsed"], limits["totalRAMUsed"]) == (2, 1024)
    assert (await act(cloud, server_id, resize={"flavorRef": "big"})).status == 409


@pytest.mark.parametrize(
    ("body", "values", "status", "words"),
    [
        ({"flavorRef": "42"}, {}, 400, "When resizing, instances must change flavor!"),
        ({"flavorRef": "none"}, {}, 400, "Flavor none could not be found."),
        ({"flavorRef": "less"}, {}, 400, "resized because: Resize to zero disk flavor is not allowed."),
        ({}, {}, 400, "flavorRef"),
        ({"flavorRef": "big", "size": 1}, {}, 400, "size"),
        ({"flavorRef": "big", "OS-DCF:diskConfig": "SOME"}, {}, 400, "diskConfig"),
        ({"flavorRef": "big"}, {"vm_state": "paused"}, 409, "Cannot 'resize' instance {id} while it is in vm_state paused"),
        ({"flavorRef": "big"}, {"locked_by": "admin"}, 409, "Instance {id} is locked"),
        ({"flavorRef": "huge"}, {}, 403, "Quota exceeded for cores: Requested 99, but already used 1 of 20 cores"),
    ],
)  # fmt: skip
async def test_a_refused_resize_changes_nothing(cloud, body, values, status, words):
    await flavor(cloud, "big")
    await flavor(cloud, "less", disk=0)
    await flavor(cloud, "huge", vcpus=100, ram=512)
    server_id = await cloud.active()
    if values:
        await cloud.row(server_id, **values)
    before = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    answer = await act(cloud, server_id, resize=body)
    assert answer.status == status, answer.content
    assert words.format(id=server_id) in str(answer.json)
    assert (await cloud("GET", f"/servers/{server_id}")).json["server"] == before
    assert await moves(cloud, server_id) == []


@pytest.mark.parametrize(
    ("at", "body", "status"),
    [
        ("2.55", None, 202), ("2.55", {"host": "nowhere"}, 202), ("2.56", None, 202), ("2.56", {}, 202),
        ("2.56", {"host": None}, 202), ("2.56", {"host": "host-2"}, 202), ("2.56", {"host": "host-1"}, 400),
        ("2.56", {"host": "nowhere"}, 400), ("2.56", {"host": ""}, 400), ("2.56", {"force": True}, 400),
    ],
)  # fmt: skip
async def test_migrate(cloud, at, body, status):
    server_id = await cloud.active()
    await cloud.seen("host-2")
    answer = await act(cloud, server_id, "admin", at, migrate=body)
    assert answer.status == status, answer.content
    found = await moves(cloud, server_id)
    if status == 202:
        (record,) = found
        asked = body["host"] if body and at == "2.56" and body.get("host") else None
        assert (record["migration_type"], record["dest_compute"]) == ("migration", asked)
        actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
        assert [action["action"] for action in actions] == ["migrate", "create"]
    else:
        assert found == []


@pytest.mark.parametrize("action", ["confirmResize", "revertResize"])
async def test_what_was_not_resized(cloud, action):
    server_id = await cloud.active()
    answer = await act(cloud, server_id, **{action: None})
    assert answer.status == 409
    assert "while it is in vm_state active" in answer.json["conflictingRequest"]["message"]
    await cloud.row(server_id, vm_state="resized")
    answer = await act(cloud, server_id, **{action: None})
    assert (answer.status, answer.json["badRequest"]["message"]) == (400, "Instance has not been resized.")
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("VERIFY_RESIZE", None)
