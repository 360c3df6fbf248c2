"""Servers whose disks are made anew on the host that they are on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.fake_disks import FakeDiskStore
from tests.component.agent.lab import CTX, HOST, NOTHING, PORT, Lab, build_of, server_id
from tests.eventually import until

OFF = ("refresh_network", "destroy", "unplug", "wipe", "image", "personalise", "define", "stay_off")
ON = (*OFF, "plug", "start", "await_network", "resume", "running")


async def rebuild(
    lab: Lab, vm_state: str = "active"
) -> tuple[models.ServerChange, models.Fault | None, tuple[str, ...]]:
    row = lab.row()
    server = msgspec.structs.replace(row.server, vm_state=vm_state, task_state="rebuilding")
    lab.conductor.take(msgspec.structs.replace(row, server=server, action="rebuild"))
    _, change, fault, steps = await lab.act("rebuild")
    return change, fault, tuple(steps)


@pytest.fixture
def wiped(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    usual = FakeDiskStore.wipe

    async def wipe(self: FakeDiskStore, uuid: str, *, keep: Any = ()) -> None:
        seen.append((uuid, list(keep)))
        await usual(self, uuid, keep=keep)

    monkeypatch.setattr(FakeDiskStore, "wipe", wipe)
    return seen


@pytest.mark.parametrize("vm_state", ["active", "error"])
async def test_a_server_runs_on_new_disks(lab: Lab, wiped: list[Any], vm_state: str) -> None:
    await lab.start()
    await lab.launch(build_of())
    change, fault, steps = await rebuild(lab, vm_state)
    assert (fault, steps) == (None, ON)
    assert (change.vm_state, change.task_state, change.power_state) == ("active", None, 1)
    assert (lab.power(), lab.wiring.plugged, wiped) == (PowerState.RUNNING, {PORT}, [(server_id(), [])])
    assert set(lab.network.made) == {PORT}


async def test_one_that_is_off_stays_off(lab: Lab, wiped: list[Any]) -> None:
    await lab.start()
    await lab.launch(build_of())
    await lab.act("stop")
    change, fault, steps = await rebuild(lab, "stopped")
    assert (fault, steps, change.vm_state) == (None, OFF, msgspec.UNSET)
    assert (lab.power(), lab.wiring.plugged, len(wiped)) == (PowerState.SHUTDOWN, set(), 1)


async def test_the_ephemeral_disk_is_kept_where_that_is_asked_for(lab: Lab, wiped: list[Any]) -> None:
    await lab.start()
    await lab.launch(build_of())
    row = lab.row()
    lab.conductor.take(msgspec.structs.replace(row, spec=msgspec.structs.replace(row.spec, preserve_ephemeral=True)))
    await rebuild(lab)
    assert wiped == [(server_id(), ["disk.eph0"])]


async def test_a_rebuild_that_fails_keeps_the_ephemeral_disk_too(lab: Lab, wiped: list[Any]) -> None:
    await lab.start()
    await lab.launch(build_of())
    row = lab.row()
    lab.conductor.take(msgspec.structs.replace(row, spec=msgspec.structs.replace(row.spec, preserve_ephemeral=True)))
    lab.fault("image", "fail", when="after")
    removed: list[str] = []
    store = lab.agent.manager.host.driver.disks
    usual = type(store).remove

    async def remove(self: Any, uuid: str) -> None:
        removed.append(uuid)
        await usual(self, uuid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store), "remove", remove)
        _, fault, _ = await rebuild(lab)
    assert fault is not None
    assert (wiped, removed) == ([(server_id(), ["disk.eph0"])] * 2, [])


@pytest.mark.parametrize("step", ["wipe", "image", "define", "start"])
async def test_a_failure_leaves_an_error_that_another_rebuild_mends(lab: Lab, step: str) -> None:
    await lab.start()
    await lab.launch(build_of())
    lab.fault(step, "fail")
    change, fault, _ = await rebuild(lab)
    assert fault is not None
    assert (fault.step, change.vm_state) == (step, "error")
    assert (lab.power(), set(lab.network.made)) == (PowerState.SHUTDOWN, {PORT})
    change, fault, _ = await rebuild(lab, "error")
    assert (fault, change.vm_state, lab.power()) == (None, "active", PowerState.RUNNING)
    await lab.terminate()
    assert lab.traces() == NOTHING


async def test_a_host_that_is_back_leaves_an_evacuated_server_alone(lab: Lab, wiped: list[Any]) -> None:
    """It shows the task_state of a rebuild while another host takes it over."""
    await lab.start()
    await lab.launch(build_of())
    await lab.crash()
    row = lab.row()
    server = msgspec.structs.replace(row.server, vm_state="active", task_state="rebuilding")
    lab.conductor.take(msgspec.structs.replace(row, server=server, action="evacuate"))
    await lab.start()
    await lab.idle()
    assert (lab.conductor.ended, wiped, lab.power()) == ([], [], PowerState.RUNNING)


async def test_a_rebuild_that_was_cut_off_is_done_again(lab: Lab, wiped: list[Any]) -> None:
    await lab.start()
    await lab.launch(build_of())
    await lab.crash()
    agent = await lab.start(delay={"define": 30})
    row = lab.row()
    server = msgspec.structs.replace(row.server, vm_state="active", task_state="rebuilding")
    row = lab.conductor.take(msgspec.structs.replace(row, server=server, action="rebuild", request_id="req-7"))
    await lab.host.run_action(CTX, models.ServerRef(build=row, request_id="req-7", action="rebuild"))
    journal = agent.manager.host.journal
    await until(
        lambda: any("define" in [s.step for s in run.steps.values()] for run in journal.unfinished(HOST).values())
    )
    await lab.crash()
    await lab.start()
    await until(lambda: bool(lab.conductor.ended))
    _, change, fault, _ = lab.conductor.ended[-1]
    assert (fault, change.vm_state, lab.power()) == (None, "active", PowerState.RUNNING)
    assert len(wiped) == 2
