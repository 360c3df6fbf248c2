"""Requests to rescue a server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from kilonova.compute.options import ComputeOptions
from tests.service.compute_api.support import IMAGE, Cloud, image, make_cloud
from tests.service.compute_api.test_actions import act

OTHER, UNKNOWN = (str(uuid.UUID(int=n)) for n in (21, 22))


async def test_the_host_gets_image_and_password(cloud: Cloud) -> None:
    cloud.images.held[OTHER] = image(OTHER, properties={"hw_rescue_bus": "scsi"})
    server_id = await cloud.active()
    answer = await act(cloud, server_id, rescue={"adminPass": "of my own", "rescue_image_ref": OTHER})
    assert (answer.status, answer.json) == (200, {"adminPass": "of my own"})
    ((_, (ref,)),) = await cloud.agent.wait()
    assert (ref.action, ref.build.spec.rescue.image.id, ref.build.spec.rescue.admin_pass) == (
        "rescue",
        OTHER,
        "of my own",
    )
    granted = cloud.service.core.grants.read(ref.build.grant, 0)
    assert granted is not None
    assert granted.images == (IMAGE, OTHER)
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["status"], shown["OS-EXT-STS:task_state"]) == ("ACTIVE", "rescuing")
    await cloud.row(server_id, vm_state="rescued", task_state=None)
    assert (await cloud("GET", f"/servers/{server_id}")).json["server"]["status"] == "RESCUE"
    answer = await act(cloud, server_id, unrescue=None)
    assert (answer.status, answer.content) == (202, b"")
    (_, (_, (ref,))) = await cloud.agent.wait(2)
    assert (ref.action, ref.build.spec.rescue) == ("unrescue", None)


@pytest.mark.parametrize("body", [None, {}])
async def test_without_an_image_it_is_the_servers_own(cloud: Cloud, body: object) -> None:
    answer = await act(cloud, await cloud.active(), rescue=body)
    assert (answer.status, len(answer.json["adminPass"])) == (200, 12)
    ((_, (ref,)),) = await cloud.agent.wait()
    assert (ref.build.spec.rescue.image, ref.build.spec.rescue.admin_pass) == (None, answer.json["adminPass"])


async def test_an_operator_may_say_which_image(tmp_path: Path) -> None:
    cloud = await make_cloud(tmp_path, ComputeOptions(rescue_image_ref=OTHER))
    server_id = await cloud.active()
    answer = await act(cloud, server_id, rescue=None)
    assert answer.status == 400
    cloud.images.held[OTHER] = image(OTHER)
    assert (await act(cloud, server_id, rescue=None)).status == 200
    ((_, (ref,)),) = await cloud.agent.wait()
    assert ref.build.spec.rescue.image.id == OTHER
    await cloud.service.stop()


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (None, f"Requested rescue image '{OTHER}' is not supported"),
        ({"status": "queued"}, f"Requested rescue image '{OTHER}' is not supported"),
        ({"properties": {"hw_rescue_device": "floppy"}}, f"Requested rescue image '{OTHER}' is not supported"),
        ({"properties": {"hw_rescue_bus": "usb"}}, f"Requested rescue image '{OTHER}' is not supported"),
    ],
)
async def test_images_that_will_not_do(cloud: Cloud, held: dict[str, object] | None, words: str) -> None:
    if held is not None:
        cloud.images.held[OTHER] = image(OTHER, **held)
    server_id = await cloud.active()
    answer = await act(cloud, server_id, rescue={"rescue_image_ref": OTHER})
    assert (answer.status, answer.json["badRequest"]["message"]) == (400, words)
    shown = (await cloud("GET", f"/servers/{server_id}")).json["server"]
    assert (shown["OS-EXT-STS:task_state"], cloud.agent.seen) == (None, [])


async def test_states_and_callers(cloud: Cloud) -> None:
    server_id = await cloud.active()
    for wire, refused in (
        ("rescue", ("paused", "suspended", "rescued", "resized", "shelved")), ("unrescue", ("active", "stopped", "error")),
    ):  # fmt: skip
        for state in refused:
            await cloud.row(server_id, vm_state=state)
            answer = await act(cloud, server_id, **{wire: None})
            assert answer.status == 409
            message = answer.json["conflictingRequest"]["message"]
            assert message == f"Cannot '{wire}' instance {server_id} while it is in vm_state {state}"
        for token, status in (("foreign", 404), ("reader", 403)):
            assert (await act(cloud, server_id, token=token, **{wire: None})).status == status
    await cloud.row(server_id, vm_state="rescued")
    for action in (
        {"reboot": {"type": "HARD"}},
        {"os-stop": None},
        {"os-start": None},
        {"pause": None},
        {"suspend": None},
    ):
        assert (await act(cloud, server_id, **action)).status == 409, action
    await cloud.row(server_id, vm_state="active")
    for wrong in ({"rescue_image_ref": "x"}, {"adminPass": 5}, {"more": 1}, "text"):
        assert (await act(cloud, server_id, rescue=wrong)).status == 400, wrong
    await act(cloud, server_id, token="admin", lock=None)
    assert (await act(cloud, server_id, rescue=None)).status == 409
    assert cloud.agent.seen == []
