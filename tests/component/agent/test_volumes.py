"""Volumes on a host: of servers that are launched and started, and given to guests and taken from them, whatever step the agent
dies in."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.agent.volumes import volume_disk
from kilonova.compute.errors import VolumeNotThere
from kilonova.compute.models import ServerRef
from kilonova.compute.steps import BY_NAME
from kilonova.compute.virt.driver import VirtError
from kilonova.compute.virt.fake import FakeDriver
from tests.component.agent.lab import CTX, HOST, Lab, active, build_of, server_id, volume
from tests.eventually import until

ATTACHED, DETACHED = ["connect_volume", "attach_volume"], ["unplug_volume", "detach_volume"]
ONE = volume()


def with_volumes(*volumes: models.ConnectedVolume, **more: Any) -> models.ServerBuild:
    build = build_of()
    return msgspec.structs.replace(build, spec=msgspec.structs.replace(build.spec, volumes=True, **more))


def disks(lab: Lab) -> dict[str, str]:
    guest = lab.hypervisor.guests(HOST).get(server_id())
    return dict(guest.disks) if guest is not None else {}


async def running(lab: Lab, *volumes: models.ConnectedVolume, **fake: Any) -> None:
    await lab.start(**fake)
    assert (await lab.launch(build_of())).ok
    lab.conductor.volumes[server_id()] = [*volumes]


async def act(lab: Lab, action: str, **more: str) -> tuple[Any, list[str]]:
    arguments = {"device": ONE.device, "volume": ONE.volume_id} | more
    _, _, fault, steps = await lab.act(action, arguments=arguments)
    return fault, steps


async def test_a_server_boots_from_a_volume_once_it_is_made(lab: Lab) -> None:
    await lab.start()
    lab.conductor.volumes[server_id()] = None
    root, data = volume(1, boot_index=0, name="vda"), volume(2, name="vdc")
    task = asyncio.ensure_future(lab.launch(with_volumes(volume_backed=True, swap_mb=64)))
    await until(lambda: lab.conductor.volumes[server_id()] is not None)
    lab.conductor.volumes[server_id()] = [data, root]
    assert (await task).ok
    assert disks(lab) == {root.volume_id: "vda", data.volume_id: "vdc"}
    assert lab.conductor.connected >= {(HOST, root.volume_id), (HOST, data.volume_id)}


async def test_a_plain_server_asks_for_none(lab: Lab) -> None:
    await lab.start()
    lab.conductor.away["connect_volumes"] = 1000
    assert (await lab.launch(build_of())).ok


@pytest.mark.parametrize("step", ["block_device_mapping", "image", "start"])
async def test_a_launch_that_fails_lets_go_of_its_volumes(lab: Lab, step: str) -> None:
    await lab.start()
    lab.conductor.volumes[server_id()] = [ONE]
    lab.fault(step, "fail", when="after")
    assert not (await lab.launch(with_volumes())).ok
    assert lab.conductor.connected == set()


async def test_a_volume_that_can_not_be_had_ends_the_launch(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> Any:
        raise VolumeNotThere(volume_id=ONE.volume_id, reason="it is in status error")

    await lab.start()
    monkeypatch.setattr(lab.conductor, "connect_volumes", refused)
    ended = await lab.launch(with_volumes())
    assert ended.fault is not None
    assert (ended.ok, ended.reschedule) == (False, False)
    assert "it is in status error" in ended.fault.reason


@pytest.mark.parametrize("action", ["reboot_hard", "rebuild"])
async def test_a_guest_that_is_made_again_has_its_volumes(lab: Lab, action: str) -> None:
    await lab.start()
    lab.conductor.volumes[server_id()] = [ONE]
    assert (await lab.launch(with_volumes())).ok
    lab.conductor.connected.clear()
    _, _, fault, _ = await lab.act(action)
    assert fault is None
    assert (disks(lab), lab.conductor.connected) == ({ONE.volume_id: "vdb"}, {(HOST, ONE.volume_id)})


@pytest.mark.parametrize("off", [False, True])
async def test_there_and_back(lab: Lab, off: bool) -> None:
    await running(lab, ONE)
    if off:
        await lab.act("stop")
    assert await act(lab, "attach_volume") == (None, ATTACHED)
    assert disks(lab) == {ONE.volume_id: "vdb"}
    assert await act(lab, "extend_volume", size="2") == (None, ["extend_volume"])
    assert await act(lab, "detach_volume") == (None, DETACHED)
    assert (disks(lab), lab.conductor.connected, lab.conductor.volumes[server_id()]) == ({}, set(), [])


async def test_another_name_than_the_rows_is_reported(lab: Lab) -> None:
    """The guest has a disk of that name."""
    await running(lab, ONE, volume(2))
    await act(lab, "attach_volume")
    second = volume(2)
    await lab.act("attach_volume", arguments={"device": second.device, "volume": second.volume_id})
    assert disks(lab) == {ONE.volume_id: "vdb", second.volume_id: "vdc"}
    assert lab.conductor.names == {second.device: "vdc"}


@pytest.mark.parametrize("step", ATTACHED)
async def test_what_can_not_be_attached_leaves_nothing(lab: Lab, step: str) -> None:
    await running(lab, ONE)
    lab.fault(step, "fail", when="after")
    fault, _ = await act(lab, "attach_volume")
    assert fault is not None
    assert (disks(lab), lab.conductor.connected, lab.conductor.volumes[server_id()]) == ({}, set(), [])


async def test_a_guest_that_does_not_let_go_keeps_the_volume(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(lab, ONE)
    await act(lab, "attach_volume")

    async def never(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(FakeDriver, "detach_disk", never)
    fault, _ = await act(lab, "detach_volume")
    assert fault.reason == "the guest does not let go of the volume"
    assert (disks(lab), lab.conductor.connected) == ({ONE.volume_id: "vdb"}, {(HOST, ONE.volume_id)})


async def test_attaching_that_fails_keeps_what_the_guest_has(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it detached, another server's guest could write to it, too."""
    await running(lab, ONE)

    async def never(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(FakeDriver, "detach_disk", never)
    lab.fault("attach_volume", "fail", when="after")
    fault, _ = await act(lab, "attach_volume")
    assert fault is not None
    assert (disks(lab), lab.conductor.connected) == ({ONE.volume_id: "vdb"}, {(HOST, ONE.volume_id)})
    assert lab.conductor.volumes[server_id()] == [ONE]


async def test_the_hypervisors_words_are_for_admins(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(lab, ONE)

    async def refused(*_: Any, **__: Any) -> str:
        raise VirtError("/var/run/secret.sock: no such thing")

    monkeypatch.setattr(FakeDriver, "attach_disk", refused)
    fault, _ = await act(lab, "attach_volume")
    assert fault.reason == BY_NAME["attach_volume"].failed
    assert "secret.sock" in fault.details


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("action", "step"), [("attach_volume", s) for s in ATTACHED] + [("detach_volume", s) for s in DETACHED]
)
async def test_killed_in_any_step_it_is_done_by_the_next_start(lab: Lab, action: str, step: str, when: str) -> None:
    await running(lab, ONE)
    if action == "detach_volume":
        await act(lab, "attach_volume")
    gate = lab.path / "gate"
    lab.fault(step, f"wait:{gate}", when)
    row = msgspec.structs.replace(
        lab.row(), action=action, arguments={"device": ONE.device, "volume": ONE.volume_id}, request_id="req-2"
    )
    before = len(lab.conductor.ended)
    await lab.host.run_action(CTX, ServerRef(build=row, request_id="req-2", action=action))
    await until(
        lambda: any(step == s.step for run in lab.journal.unfinished(HOST).values() for s in run.steps.values())
    )
    await asyncio.sleep(0.05)
    await lab.crash()
    lab.faults.rules.clear()
    lab.conductor.take(active(row))
    await lab.start()
    await until(lambda: len(lab.conductor.ended) > before)
    assert lab.conductor.ended[-1][2] is None
    held = {ONE.volume_id: "vdb"} if action == "attach_volume" else {}
    assert disks(lab) == held
    assert lab.conductor.connected == {(HOST, volume_id) for volume_id in held}


async def test_a_conductor_that_is_away_is_asked_again(lab: Lab) -> None:
    await running(lab, ONE)
    lab.conductor.away["connect_volumes"] = 2
    assert await act(lab, "attach_volume") == (None, ATTACHED)
    lab.conductor.away["disconnect_volumes"] = 2
    assert await act(lab, "detach_volume") == (None, DETACHED)


@pytest.mark.parametrize(("mode", "readonly"), [("ro", True), ("rw", False)])
def test_a_volume_that_is_read_only_is_so_for_the_guest(mode: str, readonly: bool) -> None:
    connection = {"driver_volume_type": "fake", "data": {"volume_id": ONE.volume_id, "access_mode": mode}}
    disk = volume_disk(volume(connection=connection, bus="scsi", boot_index=1), "virtio")
    assert (disk.readonly, disk.bus, disk.boot_index, disk.serial) == (readonly, "scsi", 2, ONE.volume_id)
