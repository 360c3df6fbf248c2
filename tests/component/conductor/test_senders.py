"""A compute host reports to the conductor about its own servers only; reports about others change nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from kilonova.compute import tables
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.grants import BuildGrants
from kilonova.compute.models import BuildOutcome, Fault, HostReport, Progress, ServerChange, StepRecord
from kilonova.compute.node_ids import node_uuid
from kilonova.compute.store import migrations
from kilonova.core import errors
from kilonova.core.bus.base import Envelope, Server, handle, make_proxy
from kilonova.core.bus.interface import Method, methods
from kilonova.core.grants import Grant, Grants
from tests.component.conductor.lab import CTX, REQUEST, Lab, report


def as_host(lab: Lab, host: str) -> ConductorAPI:
    """The conductor as a host reaches it whose broker user the bus has proven."""

    async def send(envelope: Envelope, method: Method) -> Any:
        reply = await handle(Server(ConductorAPI, lab.conductor, "c1"), envelope, host)
        if reply.error is not None:
            raise errors.from_wire(reply.error)
        return msgspec.msgpack.decode(reply.result, type=method.result)

    return make_proxy(ConductorAPI, None, send)


def step(lab: Lab, uuid: str, host: str) -> StepRecord:
    return StepRecord(
        key=lab.clock.hex_id(), server_uuid=uuid, request_id=REQUEST, action="create", step="image", component="agent",
        host=host, started_at=lab.now(), finished_at=lab.now(), result="Error", detail="made up",
    )  # fmt: skip


async def active(lab: Lab) -> str:
    for host in ("host-1", "host-2"):
        await lab.host(host)
    (uuid,) = await lab.servers(spec=lab.spec(force_host="host-1"))
    await lab.build([uuid])
    assert (await lab.server(uuid)).host == "host-1"
    return uuid


async def everything(lab: Lab) -> list[Any]:
    known = (
        tables.servers, tables.server_actions, tables.server_faults, tables.step_reports, tables.migrations,
        tables.services, tables.compute_nodes, tables.outbox,
    )  # fmt: skip
    return [await lab.rows(table) for table in known]


def outcome(uuid: str, host: str, **more: Any) -> BuildOutcome:
    values: dict[str, Any] = {"server_uuid": uuid, "request_id": REQUEST, "attempt": 1, "host": host, "ok": False}
    return BuildOutcome(**values | more)


def _in_anothers_name(lab: Lab, uuid: str) -> dict[str, tuple[Any, ...]]:
    """What the bus refuses: method → arguments."""
    stopped = ServerChange(expect_host="host-1", vm_state="stopped")
    return {
        "update_server": (uuid, stopped),
        "action_ended": (uuid, REQUEST, "stop", stopped, None, []),
        "build_ended": (outcome(uuid, "host-1"),),
        "report_host": (report("host-1", vcpus=1000),),
        "servers_on_host": ("host-1",),
        "departed_servers": ("host-1",),
        "disks_at": ("host-1", "x"),
        "disks_asked_for": ("host-1", "x", "secret"),
        "power_state_seen": ("host-1", uuid, 4),
        "build_servers": ([uuid], REQUEST),
        "delete_unhosted": (uuid, REQUEST),
        "host_removed": ("host-1", node_uuid("host-1")),
        "move_server": (uuid, "x"),
        "remove_image": (uuid, True),
        "rotate_backups": (uuid, "daily", 0),
        "network_changed": ([uuid],),
        "network_info": ("host-1", uuid),
        "renew_grant": ("host-1", uuid, "grant"),
        "connect_volumes": ("host-1", uuid, {}, None),
        "disconnect_volumes": ("host-1", uuid, None, False),
        "name_volume": ("host-1", uuid, "x", "vdc"),
        "reserve_volumes": (uuid,),
        "drop_volume": (uuid, "x"),
        "redeem_console": ("token",),
        "guest_on_its_way": ("host-1", "x", Progress()),
        "ports_stay": (uuid,),
        "undelivered": (),
    }


async def test_nothing_in_the_name_of_another_host(lab: Lab) -> None:
    uuid = await active(lab)
    before, wrong = await everything(lab), _in_anothers_name(lab, uuid)
    for method, arguments in wrong.items():
        with pytest.raises(errors.Forbidden, match="Host host-2 may not send"):
            await getattr(as_host(lab, "host-2"), method)(CTX, *arguments)
    assert await everything(lab) == before
    free = {name for name, method in methods(ConductorAPI).items() if method.from_host == "*"}
    assert wrong.keys() | free == methods(ConductorAPI).keys()  # a new method is tried too


async def test_nothing_in_its_own_name_about_another_hosts_server(lab: Lab) -> None:
    uuid = await active(lab)
    before, taken = await everything(lab), as_host(lab, "host-2")
    mine = ServerChange(expect_host="host-2", vm_state="error", task_state=None)
    assert not await taken.update_server(CTX, uuid, mine)
    assert not await taken.update_server(
        CTX, uuid, ServerChange(expect_host="host-2", expect_move="x", vm_state="error")
    )
    fault, steps = Fault(step="image", reason="made up"), [step(lab, uuid, "host-2")]
    assert not await taken.action_ended(CTX, uuid, REQUEST, "create", mine, fault, steps)
    assert not await taken.build_ended(CTX, outcome(uuid, "host-2", fault=fault, steps=steps))
    assert not await taken.build_ended(CTX, outcome(uuid, "host-2", ok=True, steps=steps, move="x"))
    assert not await taken.build_ended(CTX, outcome(uuid, "host-2", ok=True, steps=steps))
    await taken.power_state_seen(CTX, "host-2", uuid, 4)
    assert await taken.network_info(CTX, "host-2", uuid) is None
    await taken.server_deleted(CTX, uuid, REQUEST)
    await taken.departure_done(CTX, "no-such-migration")
    assert await everything(lab) == before


async def test_a_deletion_ends_by_its_own_host(lab: Lab) -> None:
    uuid = await active(lab)
    await lab.change(uuid, task_state="deleting")
    await as_host(lab, "host-2").server_deleted(CTX, uuid, REQUEST)
    assert (await lab.server(uuid)).deleted == 0
    assert (await lab.claimed())["host-1"] == [uuid]
    await as_host(lab, "host-1").server_deleted(CTX, uuid, REQUEST)
    assert (await lab.server(uuid)).deleted != 0
    assert (await lab.claimed())["host-1"] == []


async def test_an_end_brings_the_steps_of_its_own_server_alone(lab: Lab) -> None:
    uuid = await active(lab)
    (other,) = await lab.servers(spec=lab.spec(force_host="host-2"))
    await lab.build([other])
    steps = [step(lab, uuid, "host-2"), step(lab, other, "host-2")]
    await as_host(lab, "host-2").build_ended(CTX, outcome(other, "host-2", ok=True, steps=steps))
    assert ("image", "host-2", "Error") in await lab.steps(other)
    assert ("image", "host-2", "Error") not in await lab.steps(uuid)


async def test_a_departure_is_reported_by_the_host_that_the_server_left(lab: Lab) -> None:
    uuid = await active(lab)
    row = {
        "uuid": lab.clock.uuid(), "server_uuid": uuid, "type": "evacuation", "status": "done", "request_id": "r",
        "source_compute": "host-1", "dest_compute": "host-2", "created_at": lab.now(), "updated_at": lab.now(),
        "document": msgspec.msgpack.encode({"migration": "m", "source": "host-1"}),
    }  # fmt: skip
    async with lab.database.transaction() as tx:
        await tx.connection.execute(insert(tables.migrations).values(**row))
    await as_host(lab, "host-2").departure_done(CTX, row["uuid"])
    assert [found.status for found in await lab.rows(tables.migrations)] == ["done"]
    await as_host(lab, "host-1").departure_done(CTX, row["uuid"])
    (found,) = await lab.rows(tables.migrations)
    assert (found.status, migrations.decode(found).kind) == ("completed", "evacuation")


async def test_a_host_reports_its_own_node(lab: Lab) -> None:
    await active(lab)
    own = report("host-2", node_uuid=node_uuid("host-2"))
    for wrong in (
        report("host-2"), msgspec.structs.replace(own, hypervisor_hostname="host-1"),
        msgspec.structs.replace(own, node_uuid=node_uuid("host-1")),
    ):  # fmt: skip
        with pytest.raises(errors.Forbidden):
            await as_host(lab, "host-2").report_host(CTX, wrong)
    fresh: HostReport = report("host-3", node_uuid=node_uuid("host-3"))
    await as_host(lab, "host-3").report_host(CTX, fresh)
    assert {row.host for row in await lab.rows(tables.services)} >= {"host-1", "host-2", "host-3"}


async def test_a_grant_is_renewed_for_its_host_while_it_works_on_the_server(lab: Lab) -> None:
    grants = lab.conductor.deps.grants = BuildGrants(Grants("secret"), lab.clock)
    uuid = await active(lab)
    mine, other = as_host(lab, "host-1"), as_host(lab, "host-2")

    async def renewed(host: ConductorAPI, name: str, grant: str) -> bool:
        text = await host.renew_grant(CTX, name, uuid, grant)
        held = grants.held(text) if text else None
        return held is not None and held.fresh and (held.host, held.server, held.until > 0) == (name, uuid, True)

    def old(host: str, server: str = uuid) -> str:
        return Grants("secret").sign(Grant(server=server, host=host, project="p", until=1.0))

    assert not await renewed(mine, "host-1", old("host-1"))  # nothing is done to it
    await lab.change(uuid, task_state="image_uploading")
    assert await renewed(mine, "host-1", old("host-1"))
    assert not await renewed(mine, "host-1", old("host-2"))
    assert not await renewed(mine, "host-1", old("host-1", lab.clock.uuid()))
    assert not await renewed(mine, "host-1", Grants("other").sign(Grant(server=uuid, host="host-1", project="p")))
    assert not await renewed(mine, "host-1", "no grant")
    assert not await renewed(other, "host-2", old("host-2"))
    with pytest.raises(errors.Forbidden):
        await other.renew_grant(CTX, "host-1", uuid, old("host-1"))
