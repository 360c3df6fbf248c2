"""Requests to shelve servers and to bring them back."""

from __future__ import annotations

import uuid

import pytest

from kilonova.compute.store import request_specs
from tests.service.compute_api.support import IMAGE, Cloud, image
from tests.service.compute_api.test_actions import act

SHELVED = str(uuid.UUID(int=31))


async def offloaded(cloud: Cloud) -> str:
    """A server without a host, whose disk is in an image."""
    server_id = await cloud.active()
    await cloud.conductor.wait()  # for the launch
    cloud.conductor.seen.clear()
    await cloud.row(server_id, vm_state="shelved_offloaded", host=None, node=None, power_state=0)
    cloud.images.held[SHELVED] = image(SHELVED, name="vm-shelved")
    async with cloud.service.database.transaction() as tx:
        spec = await request_specs.get(tx.connection, server_id)
        assert spec is not None
        spec.shelved_image, spec.force_host, spec.availability_zone, spec.attempts = SHELVED, "host-9", "nova", 3
        await request_specs.save(tx.connection, server_id, spec)
    return server_id


async def spec_of(cloud: Cloud, server_id: str):
    async with cloud.service.database.reading() as connection:
        return await request_specs.get(connection, server_id)


async def test_a_server_is_shelved_into_an_image(cloud: Cloud) -> None:
    server_id = await cloud.active()
    answer = await act(cloud, server_id, shelve=None)
    assert (answer.status, answer.content) == (202, b"")
    ((_, (ref,)),) = await cloud.agent.wait()
    snapshot = ref.build.spec.snapshot
    assert (ref.action, snapshot.shelves) == ("shelve", True)
    made = cloud.images.held[snapshot.image]
    assert (made.name, made.properties["image_type"]) == ("vm-shelved", "snapshot")
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", "shelving")
    await cloud.row(server_id, vm_state="shelved", task_state=None)
    assert (await act(cloud, server_id, shelveOffload=None)).status == 403
    assert (await act(cloud, server_id, token="admin", shelveOffload=None)).status == 202
    (_, (_, (ref,))) = await cloud.agent.wait(2)
    assert ref.action == "shelveOffload"


async def test_back_on_its_own_host(cloud: Cloud) -> None:
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state="shelved")
    for place in ({"availability_zone": "nova"}, {"host": "host-1"}, {"availability_zone": None}):
        answer = await act(cloud, server_id, token="admin", unshelve=place)
        assert answer.status == 409, place
        assert "The server status must be SHELVED_OFFLOADED" in answer.json["conflictingRequest"]["message"]
    assert (await act(cloud, server_id, unshelve=None)).status == 202
    ((name, (ref,)),) = await cloud.agent.wait()
    assert (name, ref.action, ref.build.server.task_state) == ("run_action", "unshelve", "unshelving")


@pytest.mark.parametrize(
    ("body", "at", "zone", "host"),
    [
        (None, "2.1", "nova", None),
        ({"anything": 5}, "2.76", "nova", None),
        (None, "2.104", "nova", None),
        ({"availability_zone": "nova"}, "2.77", "nova", None),
        ({"availability_zone": None}, "2.91", None, None),
    ],
)
async def test_back_on_any_host(cloud: Cloud, body: object, at: str, zone: str | None, host: str | None) -> None:
    server_id = await offloaded(cloud)
    answer = await act(cloud, server_id, at=at, unshelve=body)
    assert (answer.status, answer.content) == (202, b"")
    ((name, (ids, request_id)),) = await cloud.conductor.wait()
    assert (name, ids, request_id) == ("build_servers", [server_id], answer.headers["x-openstack-request-id"])
    spec = await spec_of(cloud, server_id)
    assert (spec.disk_from.id, spec.image.id, spec.availability_zone) == (SHELVED, IMAGE, zone)
    assert (spec.requested_host, spec.force_host, spec.attempts) == (host, None, 0)
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("SHELVED_OFFLOADED", "unshelving")
    assert (await act(cloud, server_id, unshelve=None)).status == 409


@pytest.mark.parametrize(
    ("body", "at", "token", "status", "words"),
    [
        ({"availability_zone": "mars"}, "2.104", "member", 400, "The requested availability zone is not available"),
        ({"availability_zone": None}, "2.90", "member", 400, "availability_zone"),
        ({"host": "host-1"}, "2.90", "admin", 400, "host"),
        ({"host": "host-1"}, "2.91", "member", 403, "os-shelve:unshelve_to_host"),
        ({"host": "nowhere"}, "2.91", "admin", 400, "Compute host nowhere could not be found."),
        ({"availability_zone": 5}, "2.77", "member", 400, "availability_zone"),
        ({"more": "x"}, "2.91", "member", 400, "more"),
    ],
)
async def test_places_that_will_not_do(
    cloud: Cloud, body: object, at: str, token: str, status: int, words: str
) -> None:
    server_id = await offloaded(cloud)
    answer = await act(cloud, server_id, token=token, at=at, unshelve=body)
    assert answer.status == status, answer.content
    assert words in next(iter(answer.json.values()))["message"]
    assert (await spec_of(cloud, server_id)).disk_from is None
    assert cloud.conductor.seen == []


async def test_a_disk_that_is_lost_is_told(cloud: Cloud) -> None:
    server_id = await offloaded(cloud)
    del cloud.images.held[SHELVED]
    answer = await act(cloud, server_id, unshelve=None)
    assert (answer.status, SHELVED in answer.json["conflictingRequest"]["message"]) == (409, True)
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert shown["OS-EXT-STS:task_state"] is None


async def test_states_and_callers(cloud: Cloud) -> None:
    server_id = await cloud.active()
    refused = {
        "shelve": ("error", "rescued", "shelved", "shelved_offloaded"), "unshelve": ("active", "stopped", "error"),
        "shelveOffload": ("active", "shelved_offloaded"),
    }  # fmt: skip
    for wire, states in refused.items():
        for state in states:
            await cloud.row(server_id, vm_state=state)
            answer = await act(cloud, server_id, token="admin", **{wire: None})
            assert answer.status == 409, (wire, state)
        for token, status in (("foreign", 404), ("reader", 403)):
            assert (await act(cloud, server_id, token=token, **{wire: None})).status == status
    for state in ("shelved", "shelved_offloaded"):
        await cloud.row(server_id, vm_state=state)
        for action in ({"os-start": None}, {"os-stop": None}, {"reboot": {"type": "HARD"}}, {"pause": None}):
            assert (await act(cloud, server_id, **action)).status == 409, (state, action)
    await cloud.row(server_id, vm_state="active")
    await act(cloud, server_id, token="admin", lock=None)
    assert (await act(cloud, server_id, shelve=None)).status == 409
    assert (cloud.agent.seen, list(cloud.images.held)) == ([], [IMAGE])


async def test_a_server_without_a_host_is_deleted_by_the_conductor(cloud: Cloud) -> None:
    server_id = await offloaded(cloud)
    assert (await cloud("DELETE", f"/servers/{server_id}")).status == 204
    ((name, _),) = await cloud.conductor.wait()
    assert name == "delete_unhosted"
