"""The volumes of servers as the conductor keeps them: made once, connected to the host that has the server, never free in
between, and let go of at the end; a call that breaks off anywhere is made good by the next."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import insert

from kilonova.compute import tables
from kilonova.compute.errors import VolumeNotThere
from kilonova.compute.volumes import AttachmentFacts, VolumeFacts, VolumeOrder
from kilonova.core import errors
from tests.component.conductor.lab import CTX, FLAVOR, IMAGE, Lab
from tests.support import PROJECT

VOLUME = str(uuid.UUID(int=50))
CONNECTOR = {"host": "whatever", "ip": "192.0.2.1"}


class VolumeService:
    """Volumes and attachments in dicts, with Cinder's rules. `breaks`: how many calls go well before one fails, after it was
    done."""

    def __init__(self) -> None:
        self.volumes = {VOLUME: VolumeFacts(id=VOLUME, status="available", size=1)}
        self.held: dict[str, AttachmentFacts] = {}
        self.hosts_of: dict[str, str] = {}
        self.orders: list[VolumeOrder] = []
        self.breaks: int | None = None

    def _done(self) -> None:
        for volume in self.volumes.values():
            has = any(one.volume_id == volume.id for one in self.held.values())
            if volume.status in ("available", "in-use"):
                volume.status = "in-use" if has else "available"
        if self.breaks is not None:
            self.breaks -= 1
            if self.breaks < 0:
                self.breaks = None
                raise errors.ServiceUnavailable(reason="the connection broke")

    async def volume(self, ctx: Any, volume_id: str) -> VolumeFacts:
        if volume_id not in self.volumes:
            raise errors.NotFound(f"Volume {volume_id} could not be found.")
        return self.volumes[volume_id]

    async def order(self, wanted: VolumeOrder) -> VolumeFacts:
        if wanted.id not in self.volumes:
            self.orders.append(wanted)
            self.volumes[wanted.id] = VolumeFacts(id=wanted.id, status="creating", size=wanted.size)
        self._done()
        return self.volumes[wanted.id]

    async def delete(self, volume_id: str) -> None:
        if any(one.volume_id == volume_id for one in self.held.values()):
            raise errors.BadRequest("Invalid volume: Volume status must be available or error")
        self.volumes.pop(volume_id, None)
        self._done()

    async def attachments(self, server_id: str | None = None) -> list[AttachmentFacts]:
        return [one for one in self.held.values() if server_id in (None, one.server_id)]

    async def attach(self, volume_id: str, server_id: str, connector: Any = None) -> AttachmentFacts:
        others = {one.server_id for one in self.held.values() if one.volume_id == volume_id}
        if others - {server_id} and not self.volumes[volume_id].multiattach:
            raise errors.BadRequest(f"Invalid volume: volume {volume_id} status must be available")
        made = AttachmentFacts(id=str(uuid.uuid4()), volume_id=volume_id, server_id=server_id)
        self.held[made.id] = made
        self._done()
        return made

    async def connect(self, attachment_id: str, connector: dict[str, Any]) -> AttachmentFacts:
        held = self.held[attachment_id]
        held.status = "attaching" if held.status == "reserved" else held.status
        self.hosts_of[attachment_id] = connector["host"]
        held.connection = {"driver_volume_type": "fake", "data": {"volume_id": held.volume_id}}
        self._done()
        return held

    async def complete(self, attachment_id: str) -> None:
        self.held[attachment_id].status = "attached"
        self._done()

    async def detach(self, attachment_id: str) -> None:
        self.held.pop(attachment_id, None)
        self._done()

    def hosts(self, volume_id: str = VOLUME) -> list[str]:
        return sorted(self.hosts_of.get(one.id, "") for one in self.held.values() if one.volume_id == volume_id)


@pytest.fixture
def volumes(lab: Lab) -> VolumeService:
    made = VolumeService()
    lab.conductor.volumes._client = made  # type: ignore[assignment]
    return made


async def server(lab: Lab, *devices: dict[str, Any], host: str | None = "host-1", **values: Any) -> str:
    """On a host, with these volumes in its rows."""
    spec = lab.spec(flavor=FLAVOR, image=IMAGE, volumes=True)
    running = {"vm_state": "active", "task_state": None, "host": host}
    (server_id,) = await lab.servers(spec=spec, **running | values)
    async with lab.database.transaction() as tx:
        for device in devices or ({},):
            row = {
                "server_uuid": server_id, "uuid": str(uuid.uuid4()), "source_type": "volume", "destination_type": "volume",
                "volume_id": VOLUME, "device_name": "/dev/vdb", "delete_on_termination": False,
            }  # fmt: skip
            await tx.connection.execute(insert(tables.block_devices).values(**row | device))
    return server_id


async def connect(lab: Lab, server_id: str, host: str = "host-1", device: str | None = None) -> Any:
    return await lab.client.connect_volumes(CTX, host, server_id, CONNECTOR, device)


async def row_of(lab: Lab, server_id: str) -> Any:
    return (await lab.rows(tables.block_devices, tables.block_devices.c.server_uuid == server_id))[0]


async def test_a_volume_is_connected_to_its_servers_host(lab: Lab, volumes: VolumeService) -> None:
    server_id = await server(lab)
    (found,) = await connect(lab, server_id)
    row = await row_of(lab, server_id)
    assert (found.volume_id, found.name, found.device) == (VOLUME, "vdb", row.uuid)
    assert found.connection["data"] == {"volume_id": VOLUME}
    (held,) = volumes.held.values()
    assert (held.status, held.server_id, volumes.hosts()) == ("attached", server_id, ["host-1"])
    assert (row.attachment_id, row.attached_host) == (held.id, "host-1")
    again = await connect(lab, server_id)
    assert (len(again), list(volumes.held)) == (1, [held.id])


async def test_other_hosts_get_nothing(lab: Lab, volumes: VolumeService) -> None:
    server_id = await server(lab)
    with pytest.raises(VolumeNotThere):
        await connect(lab, server_id, "host-2")
    await connect(lab, server_id)
    await lab.client.disconnect_volumes(CTX, "host-2", server_id, None, True)
    assert volumes.hosts() == ["host-1"]


async def test_a_volume_is_made_once_for_the_servers_project(lab: Lab, volumes: VolumeService) -> None:
    made = str(uuid.uuid4())
    server_id = await server(lab, {"source_type": "image", "image_id": "i", "volume_id": made, "volume_size": 7})
    assert await connect(lab, server_id) is None
    assert await connect(lab, server_id) is None
    (order,) = volumes.orders
    assert (order.id, order.project_id, order.size, order.image_id) == (made, PROJECT, 7, "i")
    volumes.volumes[made].status = "available"
    assert len(await connect(lab, server_id)) == 1


@pytest.mark.parametrize(("status", "words"), [("error", "it is in status error"), (None, "could not be found")])
async def test_a_volume_that_can_not_be_had(lab: Lab, volumes: VolumeService, status: Any, words: str) -> None:
    server_id = await server(lab)
    if status is None:
        volumes.volumes.clear()
    else:
        volumes.volumes[VOLUME].status = status
    with pytest.raises(VolumeNotThere, match=words):
        await connect(lab, server_id)
    assert volumes.held == {}


async def test_a_volume_that_was_given_away_is_not_the_servers(lab: Lab, volumes: VolumeService) -> None:
    """The request was right when it came; the volume changed hands before the server got it. It is neither connected nor
    deleted with the server."""
    server_id = await server(lab, {"delete_on_termination": True})
    volumes.volumes[VOLUME].project_id = "another"
    with pytest.raises(VolumeNotThere, match="another project's"):
        await connect(lab, server_id)
    assert volumes.held == {}
    await lab.change(server_id, task_state="deleting")
    await lab.client.server_deleted(CTX, server_id, "req-9")
    assert list(volumes.volumes) == [VOLUME]
    assert await lab.rows(tables.block_devices) == []


async def test_another_servers_volume_is_refused(lab: Lab, volumes: VolumeService) -> None:
    first, second = await server(lab), await server(lab)
    await connect(lab, first)
    with pytest.raises(VolumeNotThere, match="must be available"):
        await connect(lab, second)
    assert [one.server_id for one in volumes.held.values()] == [first]


@pytest.mark.parametrize("calls", range(5))
async def test_whatever_call_breaks_off_one_attachment_is_left(lab: Lab, volumes: VolumeService, calls: int) -> None:
    """On a move, too: the volume is never free, and in the end it is the new host's alone."""
    server_id = await server(lab)
    for host in ("host-1", "host-2"):
        await lab.change(server_id, host=host)
        volumes.breaks = calls
        try:
            await connect(lab, server_id, host)
        except errors.ServiceUnavailable:
            assert host == "host-1" or volumes.volumes[VOLUME].status == "in-use"
            await connect(lab, server_id, host)
        volumes.breaks = None
        assert volumes.hosts() == [host]
        assert (await row_of(lab, server_id)).attached_host == host


async def test_a_host_lets_go(lab: Lab, volumes: VolumeService) -> None:
    """The server keeps the volume reserved, unless it is rid of it."""
    server_id = await server(lab)
    await connect(lab, server_id)
    await lab.client.disconnect_volumes(CTX, "host-1", server_id, None, False)
    assert (volumes.hosts(), volumes.volumes[VOLUME].status) == ([""], "in-use")
    (found,) = await connect(lab, server_id)
    assert volumes.hosts() == ["host-1"]
    await lab.client.disconnect_volumes(CTX, "host-1", server_id, found.device, True)
    assert (volumes.held, volumes.volumes[VOLUME].status) == ({}, "available")
    assert await lab.rows(tables.block_devices) == []


async def test_a_server_on_no_host_has_its_volumes_reserved(lab: Lab, volumes: VolumeService) -> None:
    server_id = await server(lab, host=None, vm_state="shelved_offloaded")
    for _ in range(2):
        await lab.client.reserve_volumes(CTX, server_id)
        await lab.quiet()
        assert volumes.hosts() == [""]
    await lab.client.drop_volume(CTX, server_id, (await row_of(lab, server_id)).uuid)
    await lab.quiet()
    assert (volumes.held, await lab.rows(tables.block_devices)) == ({}, [])


@pytest.mark.parametrize("calls", [None, 0, 1, 2])
async def test_a_deleted_server_gives_its_volumes_up(lab: Lab, volumes: VolumeService, calls: int | None) -> None:
    """Those that were to go with it are deleted. While the volume service is away the server is not gone."""
    other = str(uuid.uuid4())
    volumes.volumes[other] = VolumeFacts(id=other, status="available", size=1)
    server_id = await server(lab, {}, {"volume_id": other, "delete_on_termination": True})
    await connect(lab, server_id)
    await lab.change(server_id, task_state="deleting")
    if calls is not None:
        volumes.breaks = calls
        with pytest.raises(errors.ServiceUnavailable):
            await lab.client.server_deleted(CTX, server_id, "req-9")
        assert not (await lab.server(server_id)).deleted
    await lab.client.server_deleted(CTX, server_id, "req-9")
    assert (await lab.server(server_id)).deleted
    assert (volumes.held, set(volumes.volumes), volumes.volumes[VOLUME].status) == ({}, {VOLUME}, "available")


async def test_a_volume_that_can_not_be_deleted_stays(lab: Lab, volumes: VolumeService, monkeypatch: Any) -> None:
    async def refused(volume_id: str) -> None:
        raise errors.BadRequest("Invalid volume: it has snapshots")

    monkeypatch.setattr(volumes, "delete", refused)
    server_id = await server(lab, {"delete_on_termination": True})
    await lab.change(server_id, task_state="deleting")
    await lab.client.server_deleted(CTX, server_id, "req-9")
    assert (await lab.server(server_id)).deleted


async def test_what_no_server_has_is_detached_after_a_while(lab: Lab, volumes: VolumeService) -> None:
    server_id, gone, other = await server(lab), await server(lab), str(uuid.uuid4())
    await connect(lab, server_id)
    volumes.volumes[other] = VolumeFacts(id=other, status="available", size=1, multiattach=True)
    strange = await volumes.attach(other, str(uuid.uuid4()))  # of a server that compute never knew
    for found in (server_id, gone):
        await volumes.attach(other, found)
    own = str(uuid.uuid4())  # a volume of the deleted server, connected while the deletion let go of its volumes
    volumes.volumes[own] = VolumeFacts(id=own, status="available", size=1)
    late = await server(lab, {"volume_id": own})
    await connect(lab, late)
    for found in (gone, late):
        await lab.change(found, deleted=1)
    assert await lab.conductor.reconciler.deletion.volumes.remove_orphans(60) == 0
    assert await lab.conductor.reconciler.deletion.volumes.remove_orphans(0) == 3
    assert volumes.hosts(own) == []
    assert volumes.hosts() == ["host-1"]
    assert [one.id for one in volumes.held.values() if one.volume_id == other] == [strange.id]


async def test_a_guests_own_name_of_a_disk_is_written_down(lab: Lab, volumes: VolumeService) -> None:
    server_id = await server(lab)
    device = (await row_of(lab, server_id)).uuid
    await lab.client.name_volume(CTX, "host-2", server_id, device, "vdx")
    assert (await row_of(lab, server_id)).device_name == "/dev/vdb"
    await lab.client.name_volume(CTX, "host-1", server_id, device, "vdc")
    assert (await row_of(lab, server_id)).device_name == "/dev/vdc"
