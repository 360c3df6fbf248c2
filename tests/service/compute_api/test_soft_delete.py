"""Servers that are deleted and kept for a while, and restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.compute.options import ComputeOptions
from tests.service.compute_api.support import Cloud, make_cloud


@pytest.fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Cloud]:
    made = await make_cloud(tmp_path, ComputeOptions(reclaim_instance_interval=3600))
    yield made
    await made.service.stop()


def asked(cloud: Cloud) -> list[str]:
    return [ref.action for _, (ref,) in cloud.agent.seen]


async def kept(cloud: Cloud, **values: Any) -> str:
    server_id = await cloud.active()
    await cloud.row(server_id, vm_state="soft-delete", power_state=4, **values)
    return server_id


async def act(cloud: Cloud, server_id: str, action: str, token: str = "member") -> Any:
    return await cloud("POST", f"/servers/{server_id}/action", token=token, json={action: None})


@pytest.mark.parametrize("state", ["active", "stopped", "error", "paused"])
async def test_a_deleted_server_is_kept(keeping: Cloud, state: str) -> None:
    server_id = await keeping.active()
    await keeping.row(server_id, vm_state=state)
    assert (await keeping("DELETE", f"/servers/{server_id}")).status == 204
    await keeping.agent.wait()
    assert asked(keeping) == ["soft_delete"]
    shown = (await keeping("GET", f"/servers/{server_id}")).json["server"]
    assert shown["OS-EXT-STS:task_state"] == "soft-deleting"


async def test_it_is_listed_for_those_alone_that_ask_for_it(keeping: Cloud) -> None:
    server_id = await kept(keeping)
    assert (await keeping("GET", f"/servers/{server_id}")).json["server"]["status"] == "SOFT_DELETED"
    for path, ids in (
        ("/servers", []), ("/servers/detail", []), ("/servers?status=SOFT_DELETED", [server_id]),
        ("/servers/detail?status=SOFT_DELETED", [server_id]), ("/servers?status=ACTIVE", []),
        ("/servers?soft_deleted=true", []),
    ):  # fmt: skip
        assert [one["id"] for one in (await keeping("GET", path, "2.74")).json["servers"]] == ids, path
    for path, ids in (("/servers?soft_deleted=true", [server_id]), ("/servers?soft_deleted=0", []), ("/servers", [])):
        listed = await keeping("GET", f"{path}{'&' if '?' in path else '?'}all_tenants=1", token="admin")
        assert [one["id"] for one in listed.json["servers"]] == ids, path


async def test_it_is_restored(keeping: Cloud) -> None:
    server_id = await kept(keeping)
    for token, status in (("foreign", 404), ("reader", 403)):
        assert (await act(keeping, server_id, "restore", token)).status == status
    assert (await act(keeping, server_id, "restore")).status == 202
    await keeping.agent.wait()
    assert asked(keeping) == ["restore"]
    assert (await keeping("GET", f"/servers/{server_id}")).json["server"]["OS-EXT-STS:task_state"] == "restoring"
    actions = (await keeping("GET", f"/servers/{server_id}/os-instance-actions")).json["instanceActions"]
    assert actions[0]["action"] == "restore"


@pytest.mark.parametrize("state", ["active", "stopped", "error"])
async def test_what_is_not_deleted_is_not_restored(keeping: Cloud, state: str) -> None:
    server_id = await keeping.active()
    await keeping.row(server_id, vm_state=state)
    answer = await act(keeping, server_id, "restore")
    words = f"Cannot 'restore' instance {server_id} while it is in vm_state {state}"
    assert (answer.status, answer.json["conflictingRequest"]["message"]) == (409, words)
    assert asked(keeping) == []


async def test_force_deletes_for_good_and_a_second_deletion_changes_nothing(keeping: Cloud) -> None:
    server_id = await kept(keeping)
    assert (await keeping("DELETE", f"/servers/{server_id}")).status == 204
    assert (await keeping("GET", f"/servers/{server_id}")).json["server"]["status"] == "SOFT_DELETED"
    for action in ("os-start", "rebuild", "reboot", "pause"):
        assert (await act(keeping, server_id, action)).status in (400, 409), action
    assert (await act(keeping, server_id, "forceDelete")).status == 202
    await keeping.agent.wait()
    assert asked(keeping) == ["delete"]


@pytest.mark.parametrize(
    "values", [{"host": None}, {"host": "gone"}, {"vm_state": "building"}, {"task_state": "deleting"}]
)
async def test_a_server_that_can_not_be_kept_is_deleted(keeping: Cloud, values: dict[str, Any]) -> None:
    server_id = await keeping.active()
    await keeping.row(server_id, **values)
    assert (await keeping("DELETE", f"/servers/{server_id}")).status == 204
    shown = (await keeping("GET", f"/servers/{server_id}")).json["server"]
    assert shown["OS-EXT-STS:task_state"] == "deleting"


async def test_nothing_is_kept_by_default(cloud: Cloud) -> None:
    server_id = await cloud.active()
    assert (await cloud("DELETE", f"/servers/{server_id}")).status == 204
    await cloud.agent.wait()
    assert asked(cloud) == ["delete"]


async def test_a_lock_and_other_callers(keeping: Cloud) -> None:
    server_id = await keeping.active()
    assert (await keeping("DELETE", f"/servers/{server_id}", token="reader")).status == 403
    await keeping.row(server_id, locked_by="owner")
    assert (await keeping("DELETE", f"/servers/{server_id}")).status == 409
    assert asked(keeping) == []
