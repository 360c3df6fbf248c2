"""State updates of servers that exist: compare-and-swap, actions, power, deletion, what an agent asks at its start."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from kilonova.compute import tables
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.models import Fault, ServerChange, Vif
from tests.component.conductor.lab import CTX, REQUEST


async def active(lab) -> str:
    if "host-1" not in lab.agents:
        await lab.host("host-1")
    (uuid,) = await lab.servers()
    await lab.build([uuid])
    return uuid


async def begin(lab, uuid: str, action: str, task: str, request_id: str) -> None:
    row = {"server_uuid": uuid, "request_id": request_id, "action": action, "started_at": lab.now()}
    async with lab.database.transaction() as tx:
        await tx.connection.execute(insert(tables.server_actions).values(**row))
    await lab.change(uuid, task_state=task)


@pytest.mark.parametrize(
    ("change", "applied"),
    [
        (ServerChange(task_state="spawning"), True),
        (ServerChange(expect_host="host-1", expect_vm_states=["active"], expect_task_states=[None]), True),
        (ServerChange(expect_host="host-2", task_state="spawning"), False),
        (ServerChange(expect_vm_states=["building", "error"], task_state="spawning"), False),
        (ServerChange(expect_task_states=["networking"], task_state="spawning"), False),
        (ServerChange(expect_task_states=["networking", None], task_state="spawning"), True),
        (ServerChange(expect_host="host-2"), False),
    ],
)
async def test_compare_and_swap(lab, change, applied):
    uuid = await active(lab)
    assert await lab.client.update_server(CTX, uuid, change) is applied
    changed = (await lab.server(uuid)).task_state == "spawning"
    assert changed is (applied and change.task_state == "spawning")


async def test_interfaces_are_stored(lab):
    uuid = await active(lab)
    vif = Vif(port_id="p", network_id="n", network_name="net", mac_address="fa:16:3e:00:00:01")
    assert await lab.client.update_server(CTX, uuid, ServerChange(network_info=[vif]))
    assert (await lab.server(uuid)).network_info[0]["port_id"] == "p"
    assert not await lab.client.update_server(CTX, lab.clock.uuid(), ServerChange(power_state=1))


async def test_an_action_ends_once(lab):
    uuid = await active(lab)
    await begin(lab, uuid, "stop", "powering-off", "req-2")
    change = ServerChange(expect_host="host-1", vm_state="stopped", task_state=None, power_state=4)
    assert await lab.client.action_ended(CTX, uuid, "req-2", "stop", change, None, [])
    row = await lab.server(uuid)
    assert (row.vm_state, row.task_state, row.power_state) == ("stopped", None, 4)
    # the reply was lost and the report comes again, in the middle of the next action
    await begin(lab, uuid, "start", "powering-on", "req-3")
    assert await lab.client.action_ended(CTX, uuid, "req-2", "stop", change, None, [])
    assert (await lab.server(uuid)).task_state == "powering-on"


async def test_a_failed_action_leaves_its_fault(lab):
    uuid = await active(lab)
    await begin(lab, uuid, "reboot", "rebooting_hard", "req-2")
    change = ServerChange(expect_host="host-1", vm_state="error", task_state=None, power_state=4)
    fault = Fault(step="start", reason="the guest did not start", details="inner")
    assert await lab.client.action_ended(CTX, uuid, "req-2", "reboot_hard", change, fault, [])
    row, found = await lab.server(uuid), await lab.fault(uuid)
    assert (row.vm_state, row.task_state) == ("error", None)
    assert found.message == "reboot_hard failed: start: the guest did not start"
    actions = await lab.rows(tables.server_actions, tables.server_actions.c.request_id == "req-2")
    assert [row.message for row in actions] == ["Error"]


async def test_an_action_that_ends_during_a_deletion_changes_nothing(lab):
    uuid = await active(lab)
    await begin(lab, uuid, "stop", "deleting", "req-2")
    change = ServerChange(expect_host="host-1", vm_state="stopped", task_state=None)
    assert not await lab.client.action_ended(CTX, uuid, "req-2", "stop", change, None, [])
    assert (await lab.server(uuid)).task_state == "deleting"


@pytest.mark.parametrize(
    ("vm_state", "task_state", "seen", "expected"),
    [
        ("active", None, 4, ("stopped", 4)),
        ("active", None, 6, ("stopped", 6)),
        ("active", None, 3, ("active", 3)),
        ("stopped", None, 1, ("active", 1)),
        ("active", "powering-off", 4, ("active", 1)),
        ("building", "spawning", 1, ("building", 1)),
        ("error", None, 4, ("error", 4)),
        ("active", None, 7, ("suspended", 7)),
        ("paused", None, 4, ("stopped", 4)),
        ("paused", None, 1, ("active", 1)),
        ("paused", "unpausing", 4, ("paused", 1)),
        ("suspended", None, 1, ("active", 1)),
        ("suspended", None, 4, ("suspended", 4)),
    ],
)
async def test_the_row_follows_the_guest_while_nothing_runs(lab, vm_state, task_state, seen, expected):
    uuid = await active(lab)
    await lab.change(uuid, vm_state=vm_state, task_state=task_state)
    await lab.conductor.power_state_seen(CTX, "host-2", uuid, 0)
    await lab.conductor.power_state_seen(CTX, "host-1", uuid, seen)
    row = await lab.server(uuid)
    assert (row.vm_state, row.power_state) == expected


async def test_deletion_releases_and_marks_once(lab):
    uuid = await active(lab)
    await lab.client.server_deleted(CTX, uuid, "req-2")  # without a request for it
    assert (await lab.server(uuid)).deleted == 0
    await begin(lab, uuid, "delete", "deleting", "req-2")
    for _ in range(2):
        await lab.client.server_deleted(CTX, uuid, "req-2")
    row = await lab.server(uuid)
    assert (row.deleted, row.vm_state, row.task_state) == (row.id, "deleted", None)
    assert row.terminated_at is not None
    assert await lab.claimed() == {"host-1": []}
    assert await lab.rows(tables.request_specs) == []
    assert all(action.finished_at is not None for action in await lab.rows(tables.server_actions))


async def test_delete_unhosted(lab):
    (waiting,) = await lab.servers()
    await lab.change(waiting, task_state="deleting")
    await lab.conductor.delete_unhosted(CTX, waiting, "req-2")
    assert (await lab.server(waiting)).deleted
    placed = await active(lab)
    await lab.conductor.delete_unhosted(CTX, placed, "req-2")
    assert not (await lab.server(placed)).deleted
    await lab.change(placed, task_state="deleting")
    await lab.conductor.delete_unhosted(CTX, placed, "req-2")
    await lab.quiet()
    assert lab.agents["host-1"].terminated == [placed]


async def test_delete_unhosted_on_a_host_that_is_down(lab):
    await lab.with_network()
    uuid = await active(lab)
    await lab.bus.withdraw(ComputeAPI, host="host-1")
    async with lab.database.transaction() as tx:
        await tx.connection.execute(tables.services.update().values(forced_down=True))
    await lab.change(uuid, task_state="deleting")
    await lab.conductor.delete_unhosted(CTX, uuid, "req-2")
    assert (await lab.server(uuid)).deleted
    assert await lab.conductor.servers_on_host(CTX, "host-1") == []


async def test_servers_on_host(lab):
    agent = await lab.host("host-1")
    running = await active(lab)
    agent.answer = lambda build: None
    (building,) = await lab.servers(request_id="req-b")
    await lab.build([building], "req-b")
    await begin(lab, running, "stop", "powering-off", "req-2")
    found = {b.server.uuid: b for b in await lab.client.servers_on_host(CTX, "host-1")}
    assert set(found) == {running, building}
    assert (found[running].action, found[running].request_id) == ("stop", "req-2")
    assert (found[building].action, found[building].request_id, found[building].attempt) == ("create", "req-b", 1)
    assert found[building].spec.admin_pass == "geheim"
    await lab.change(running, task_state=None)
    await begin(lab, running, "stop", None, "req-4")
    assert REQUEST not in {b.request_id for b in await lab.client.servers_on_host(CTX, "host-1")}


@pytest.mark.parametrize(
    ("action", "task", "vm_state", "left"),
    [("stop", "powering-off", "stopped", ("error", "host-1")), ("shelve", "shelving", "shelved", ("error", "host-1")),
     ("shelveOffload", "shelving_offloading", "shelved_offloaded", ("shelved_offloaded", None))],
)  # fmt: skip
async def test_a_state_that_an_operator_has_set_stays(lab, action, task, vm_state, left):
    """Also when the action that ran ends later; but where its disks have gone from the host, the row says so."""
    uuid = await active(lab)
    await begin(lab, uuid, action, task, "req-2")
    await lab.change(uuid, vm_state="error", task_state=None)
    change = ServerChange(expect_host="host-1", vm_state=vm_state, task_state=None, power_state=4)
    await lab.client.action_ended(CTX, uuid, "req-2", action, change, None, [])
    row = await lab.server(uuid)
    assert ((row.vm_state, row.host), row.task_state) == (left, None)
    (record,) = await lab.rows(tables.server_actions, tables.server_actions.c.request_id == "req-2")
    assert record.finished_at is not None


async def test_what_a_host_does_by_itself_is_on_no_record(lab):
    uuid = await active(lab)
    change = ServerChange(expect_host="host-1", vm_state="active", task_state=None, power_state=1)
    await lab.change(uuid, power_state=4)
    assert await lab.client.action_ended(CTX, uuid, "req-host", "start", change, None, [])
    assert (await lab.server(uuid)).power_state == 1
