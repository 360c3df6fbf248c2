"""Setting the administrator's password in a guest."""

from __future__ import annotations

from typing import Any

import pytest

from kilonova.compute.errors import NotSupported, PasswordNotSet
from tests.service.compute_api.support import IMAGE, Cloud, image


async def change(cloud: Cloud, server_id: str, token: str = "member", **body: Any) -> Any:
    asked = {"changePassword": body or {"adminPass": "s3cret"}}
    return await cloud("POST", f"/servers/{server_id}/action", token=token, json=asked)


@pytest.mark.parametrize(
    ("properties", "user"),
    [
        ({}, "root"),
        ({"os_type": "windows"}, "Administrator"),
        ({"os_admin_user": "admin", "os_type": "linux"}, "admin"),
    ],
)
async def test_the_host_is_asked(cloud: Cloud, properties: dict[str, str], user: str) -> None:
    cloud.images.held[IMAGE] = image(properties=properties)
    server_id = await cloud.active()
    assert (await change(cloud, server_id)).status == 202
    assert cloud.agent.seen == [("set_password", (server_id, user, "s3cret"))]
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("changePassword", None)


@pytest.mark.parametrize(
    ("error", "status"),
    [(PasswordNotSet(server_id="x", reason="its guest agent does not answer"), 409), (NotSupported(), 501)],
)
async def test_what_the_host_refuses(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def refuse(*_: Any) -> None:
        raise error

    server_id = await cloud.active()
    monkeypatch.setattr(cloud.agent, "set_password", refuse, raising=False)
    answer = await change(cloud, server_id)
    assert (answer.status, str(error) in answer.content.decode()) == (status, True)
    actions = (await cloud("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert (actions[0]["action"], actions[0]["message"]) == ("changePassword", "Error")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vm_state": "stopped"}, "Cannot 'changePassword' instance {id} while it is in vm_state stopped"),
        ({"task_state": "rebooting"}, "Cannot 'changePassword' instance {id} while it is in task_state rebooting"),
        ({"locked_by": "owner"}, "Instance {id} is locked"),
        ({"host": None}, "Instance {id} is not ready"),
    ],
)
async def test_states_that_forbid_it(cloud: Cloud, values: dict[str, Any], words: str) -> None:
    server_id = await cloud.active()
    await cloud.row(server_id, **values)
    answer = await change(cloud, server_id)
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words.format(id=server_id))
    assert cloud.agent.seen == []


async def test_bad_bodies_and_other_callers(cloud: Cloud) -> None:
    server_id = await cloud.active()
    for body in ({"adminPass": None}, {"adminPass": "a\x00b"}, {"password": "x"}):
        assert (await change(cloud, server_id, **body)).status == 400
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await change(cloud, server_id, token)).status == status
    assert cloud.agent.seen == []
