"""What the conductor begins by itself, and what becomes of servers whose state an operator has set."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from kilonova.compute import models, tables
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.models import ServerChange
from kilonova.compute.store import migrations
from kilonova.core.context import RequestContext
from kilonova.network.client import PortRequest
from tests.component.conductor.lab import CTX, FLAVOR, Lab
from tests.eventually import PATIENCE
from tests.support import PROJECT

AN_HOUR = dt.timedelta(hours=1)
OLD, NEW = "bbbbbbbb-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


class Removed(ConductorAPI):
    """Stands where the conductor's own messages go; notes which images are to be removed."""

    def __init__(self) -> None:
        self.images: list[tuple[str, bool]] = []

    async def remove_image(self, ctx: RequestContext, image_id: str, finished: bool) -> None:
        self.images.append((image_id, finished))


@pytest.fixture
async def timed(tmp_path: Path) -> AsyncIterator[Lab]:
    options = ConductorOptions(
        schedule_timeout=PATIENCE, startup_grace=0, rescue_timeout=600.0, shelved_offload_time=600.0
    )
    lab = Lab(tmp_path, conductor=options)
    await lab.open()
    yield lab
    await lab.close()


async def idle(lab: Lab, vm_state: str, age: dt.timedelta = AN_HOUR, **spec: Any) -> str:
    """A server on host-1 that has been in this state for a while."""
    (uuid,) = await lab.servers(spec=lab.spec(**spec))
    await lab.change(uuid, vm_state=vm_state, task_state=None, host="host-1", updated_at=lab.now() - age)
    return uuid


async def ended(lab: Lab, uuid: str, action: str, request_id: str = "req-2") -> None:
    change = ServerChange(expect_host="host-1", task_state=None, vm_state="shelved" if action == "shelve" else "active")
    assert await lab.conductor.action_ended(CTX, uuid, request_id, action, change, None, [])


@pytest.mark.parametrize(
    ("vm_state", "action", "task"),
    [("shelved", "shelveOffload", "shelving_offloading"), ("rescued", "unrescue", "unrescuing")],
)
async def test_what_is_due_begins_once(timed: Lab, vm_state: str, action: str, task: str) -> None:
    agent = await timed.host("host-1")
    uuid = await idle(timed, vm_state, rescue=models.Rescue())
    young = await idle(timed, vm_state, dt.timedelta(seconds=60))
    busy = await idle(timed, vm_state)
    await timed.change(busy, task_state="deleting")
    for _ in range(2):
        await timed.conductor.reconciler.own.check()
        await timed.quiet()
    (ref,) = agent.acts
    assert (ref.action, ref.build.server.uuid) == (action, uuid)
    assert ((await timed.server(uuid)).task_state, (await timed.server(young)).task_state) == (task, None)
    assert ((await timed.request_spec(uuid)).rescue is None) == (action == "unrescue")
    (record,) = await timed.rows(tables.server_actions, tables.server_actions.c.action == action)
    assert (record.server_uuid, record.request_id, record.finished_at) == (uuid, ref.request_id, None)


async def test_nothing_is_due_where_the_settings_say_never(lab: Lab) -> None:
    agent = await lab.host("host-1")
    uuid = await idle(lab, "rescued")
    await lab.conductor.reconciler.own.check()
    assert (agent.acts, (await lab.server(uuid)).task_state) == ([], None)


@pytest.mark.parametrize(
    ("action", "spec", "goes", "kept"),
    [
        ("start", {"shelved_image": OLD}, [(OLD, True)], None),
        ("reboot_hard", {"shelved_image": OLD}, [(OLD, True)], None),
        ("unshelve", {"shelved_image": OLD}, [(OLD, True)], None),
        ("stop", {"shelved_image": OLD}, [], OLD),
        ("start", {}, [], None),
        ("shelve", {"shelved_image": OLD, "snapshot": models.Snapshot(image=NEW, shelves=True)}, [(OLD, True)], NEW),
    ],
)
async def test_the_image_of_a_server_whose_state_was_set_goes(
    timed: Lab, action: str, spec: dict[str, Any], goes: list[tuple[str, bool]], kept: str | None
) -> None:
    """When its guest runs from its disk again, or is shelved again."""
    removed = Removed()
    await timed.bus.serve(ConductorAPI, removed, host="c1")
    uuid = await idle(timed, "stopped", **spec)
    await ended(timed, uuid, action)
    await timed.quiet()
    assert (removed.images, (await timed.request_spec(uuid)).shelved_image) == (goes, kept)


@pytest.mark.parametrize("vm_state", ["error", "active"])
async def test_a_shelved_server_whose_state_was_set_leaves_no_port(lab: Lab, vm_state: str) -> None:
    await lab.host("host-1")
    network = await lab.with_network()
    made = await lab.http("POST", "/network/v2.0/networks", json={"network": {"name": "net"}})
    (uuid,) = await lab.servers()
    (users,) = await network.create_ports(
        [
            PortRequest(
                network_id=made.json["network"]["id"], project_id=PROJECT, device_id=uuid, device_owner="compute:nova"
            )
        ]
    )
    vif = models.Vif(port_id=users.id, network_id=users.network_id, network_name="net", mac_address=users.mac_address)
    await lab.change(uuid, vm_state=vm_state, task_state="deleting", network_info=[msgspec.to_builtins(vif)])
    await lab.conductor.delete_unhosted(CTX, uuid, "req-d")
    assert (await lab.server(uuid)).deleted
    assert (await network.port(users.id)).device_id == ""


async def moving(lab: Lab, uuid: str, status: str, hops: int = 0) -> str:
    """The record of a resize from host-1 to host-2."""
    move = models.Move(
        kind="resize", migration=lab.clock.uuid(), source="host-1", dest="host-2", hops=hops, leg="leave",
        vm_state="active", old_flavor=FLAVOR, new_flavor=FLAVOR,
    )  # fmt: skip
    row = {
        "uuid": move.migration, "server_uuid": uuid, "type": "resize", "status": status, "request_id": "req-m",
        "source_compute": "host-1", "dest_compute": "host-2", "document": migrations.encode(move),
        "created_at": lab.now(), "updated_at": lab.now(),
    }  # fmt: skip
    async with lab.database.transaction() as tx:
        await tx.connection.execute(insert(tables.migrations).values(**row))
    return move.migration


async def statuses(lab: Lab, *uuids: str) -> list[str]:
    found = {row.uuid: row.status for row in await lab.rows(tables.migrations)}
    return [found[uuid] for uuid in uuids]


async def test_a_move_that_was_cut_off_does_not_live_on_in_the_next(lab: Lab) -> None:
    """An operator sets the state of a server that is being moved, and its user moves it again: both show the same task_state."""
    source = await lab.host("host-1")
    await lab.host("host-2")
    uuid = await idle(lab, "active")
    stale = await moving(lab, uuid, "migrating", hops=1)
    await lab.change(uuid, task_state="resize_prep")
    fresh = await moving(lab, uuid, "accepted")
    late = models.BuildOutcome(
        server_uuid=uuid, request_id="req-m", attempt=1, host="host-1", ok=True, move=stale, leg="leave"
    )
    assert not await lab.conductor.build_ended(CTX, late)
    assert (await statuses(lab, stale, fresh), source.acts) == (["failed", "accepted"], [])
    await lab.conductor.move_server(CTX, uuid, fresh)
    await lab.quiet()
    assert [ref.build.move.migration for ref in source.acts if ref.build.move is not None] == [fresh]


async def test_the_next_move_ends_the_one_that_was_cut_off(lab: Lab) -> None:
    source = await lab.host("host-1")
    await lab.host("host-2")
    uuid = await idle(lab, "active")
    stale, waiting = await moving(lab, uuid, "migrating", hops=1), await moving(lab, uuid, "accepted")
    fresh = await moving(lab, uuid, "accepted")
    await lab.change(uuid, task_state="resize_prep")
    await lab.conductor.move_server(CTX, uuid, waiting)  # its message comes late
    await lab.conductor.move_server(CTX, uuid, fresh)
    await lab.quiet()
    assert await statuses(lab, stale, waiting, fresh) == ["failed", "failed", "migrating"]
    assert [ref.build.move.migration for ref in source.acts if ref.build.move is not None] == [fresh]
