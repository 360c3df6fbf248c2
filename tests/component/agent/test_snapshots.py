"""Images of servers' disks on their host: what is copied, what is uploaded, and what a failure leaves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.agent import runner
from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.fake import FakeDriver, FakeOptions
from kilonova.core import errors
from tests.component.agent.lab import CTX, HOST, Lab, active, build_of
from tests.eventually import until
from tests.unit.virt.bare import BareDriver

IMAGE = "bbbbbbbb-0000-4000-8000-000000000001"
STEPS = ["snapshot", "pack", "upload"]


class Copying(FakeDriver):
    """Notes how disks were copied."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.copies: list[bool | None] = []

    async def copy_disk(self, uuid: str, disk: FileSource, target: FileSource, *, quiesce: bool | None) -> None:
        self.copies.append(quiesce)
        await super().copy_disk(uuid, disk, target, quiesce=quiesce)


def ordered(properties: dict[str, str] | None = None, disk_format: str = "qcow2") -> models.ServerBuild:
    build = build_of(networks=0)
    spec = msgspec.structs.replace(
        build.spec, image=models.Image(id="image-1", properties=properties or {}),
        snapshot=models.Snapshot(image=IMAGE, disk_format=disk_format),
    )  # fmt: skip
    return msgspec.structs.replace(build, spec=spec)


@pytest.mark.parametrize(
    ("state", "vm_state", "properties", "copies"),
    [
        (PowerState.RUNNING, "active", {}, [False]),
        (PowerState.RUNNING, "active", {"hw_qemu_guest_agent": "yes"}, [None]),
        (PowerState.PAUSED, "paused", {}, [False]),
        (PowerState.SUSPENDED, "suspended", {}, []),
        (PowerState.SHUTDOWN, "stopped", {"os_require_quiesce": "true"}, []),
    ],
)
async def test_the_disk_is_uploaded(
    lab: Lab, state: PowerState, vm_state: str, properties: dict[str, str], copies: list[bool | None]
) -> None:
    lab.options = type(lab.options)(resume_guests_on_boot=False)
    lab.put_guest(state)
    driver = Copying(HOST, lab.hypervisor, FakeOptions())
    await lab.start(driver=driver)
    lab.conductor.take(active(ordered(properties), vm_state=vm_state))
    lab.image.held[IMAGE] = "queued"
    done, change, fault, steps = await lab.act("createImage")
    assert (done, fault, steps) == ("createImage", None, STEPS)
    assert (change.vm_state, change.task_state, change.power_state) == (msgspec.UNSET, None, state)
    assert driver.copies == copies
    assert (lab.image.held[IMAGE], lab.power()) == ("active", state)
    assert lab.image.data[IMAGE][:4] == b"QFI\xfb"


async def test_an_image_that_must_be_at_rest_fails_without_an_agent(lab: Lab) -> None:
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    lab.conductor.take(active(ordered({"os_require_quiesce": "true"})))
    lab.image.held[IMAGE] = "queued"
    _, change, fault, steps = await lab.act("createImage")
    assert fault is not None
    assert (fault.step, fault.reason, steps) == ("snapshot", "copying the server's disk failed", ["snapshot"])
    assert (change.vm_state, change.task_state, lab.power()) == (msgspec.UNSET, None, PowerState.RUNNING)
    assert lab.image.held[IMAGE] == "queued"


async def test_a_hypervisor_that_cannot_copy_serves_guests_that_are_off(lab: Lab) -> None:
    await lab.start(driver=BareDriver(HOST, lab.hypervisor, FakeOptions()))
    lab.conductor.take(active(ordered()))
    lab.image.held[IMAGE] = "queued"
    lab.put_guest(PowerState.RUNNING)
    _, _, fault, _ = await lab.act("createImage")
    assert fault is not None
    assert fault.reason == "the hypervisor can't copy the disks of running guests"
    lab.put_guest(PowerState.SHUTDOWN)
    _, _, fault, _ = await lab.act("createImage")
    assert (fault, lab.image.held[IMAGE]) == (None, "active")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.TooLarge("The project may store no more."), "The project may store no more."),
        (errors.NotFound("No image found with ID x"), "No image found with ID x"),
        (errors.ServiceUnavailable(reason="away"), "another service is not available"),
    ],
)
async def test_what_the_image_service_refuses_is_told(lab: Lab, error: Exception, reason: str) -> None:
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    lab.conductor.take(active(ordered()))
    lab.image.held[IMAGE], lab.image.fail = "queued", error
    _, change, fault, _ = await lab.act("createImage")
    assert fault is not None
    assert (fault.step, fault.reason, change.task_state) == ("upload", reason, None)


async def test_an_upload_that_breaks_off_is_done_again(lab: Lab) -> None:
    """The image service takes a while to see that the first is dead."""
    lab.options = msgspec.structs.replace(lab.options, service_patience=60.0)
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    lab.conductor.take(active(ordered()))
    lab.image.held[IMAGE], lab.image.breaks = "queued", 1
    _, _, fault, _ = await lab.act("createImage")
    assert (fault, lab.image.held[IMAGE]) == (None, "active")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_host_that_died_at_a_step_does_it_again(lab: Lab, step: str, when: str) -> None:
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    row = lab.conductor.take(active(ordered()))
    lab.image.held[IMAGE] = "queued"
    lab.fault(step, "hang", when)
    lab.conductor.busy_with(row.server.uuid, "image_snapshot_pending")
    ref = models.ServerRef(build=lab.row(), request_id="req-2", action="createImage")
    await lab.host.run_action(CTX, ref)
    await until(lambda: lab.faults.rules[-1].count == 0)
    await lab.crash()
    lab.faults.rules.clear()
    found = lab.conductor.rows[row.server.uuid]
    lab.conductor.rows[row.server.uuid] = msgspec.structs.replace(found, action="createImage")
    lab.conductor.busy_with(row.server.uuid, "image_uploading")
    await lab.start()
    await until(lambda: lab.conductor.ended)
    await lab.idle()
    assert [(action, fault) for action, _, fault, _ in lab.conductor.ended] == [("createImage", None)]
    assert (lab.image.held[IMAGE], lab.power()) == ("active", PowerState.RUNNING)
    assert lab.journal.unfinished(HOST) == {}


async def test_a_deletion_ends_it(lab: Lab) -> None:
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    row = lab.conductor.take(active(ordered()))
    lab.image.held[IMAGE] = "queued"
    lab.fault("pack", "hang")
    lab.conductor.busy_with(row.server.uuid, "image_snapshot_pending")
    await lab.host.run_action(CTX, models.ServerRef(build=lab.row(), request_id="req-2", action="createImage"))
    await until(lambda: lab.faults.rules[-1].count == 0)
    await lab.terminate()
    await lab.idle()
    assert (lab.conductor.ended, lab.power(), lab.image.held[IMAGE]) == ([], PowerState.NOSTATE, "queued")
    assert lab.journal.unfinished(HOST) == {}


async def test_a_server_is_shelved_while_its_neighbours_restart(lab: Lab) -> None:
    """The network agent does not answer, and an upload that took longer than the host has patience breaks off."""
    lab.options = msgspec.structs.replace(lab.options, service_patience=2.0)
    await lab.start()
    assert (await lab.launch(ordered_on_network())).ok
    lab.image.held[IMAGE], lab.image.breaks, lab.wiring.away = "queued", 1, 2
    lab.image.takes = lab.options.service_patience + 0.1
    _, change, fault, steps = await lab.act("shelve")
    assert (fault, steps) == (None, ["power_off", "unplug", *STEPS])
    assert (change.vm_state, lab.image.held[IMAGE], lab.power()) == ("shelved", "active", PowerState.SHUTDOWN)
    assert (lab.wiring.plugged, lab.wiring.away) == (set(), 0)


def ordered_on_network() -> models.ServerBuild:
    return msgspec.structs.replace(
        ordered(), spec=msgspec.structs.replace(ordered().spec, networks=build_of().spec.networks)
    )


async def test_a_grant_that_grows_old_is_renewed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each step, as the one before may have taken hours."""
    monkeypatch.setattr(runner, "RENEW_AFTER", 0)
    granted: list[str] = []

    def remember(grant: str) -> Any:
        granted.append(grant)
        return lab.image

    monkeypatch.setattr(lab.image, "granted", remember)
    lab.put_guest(PowerState.RUNNING)
    await lab.start()
    lab.conductor.take(msgspec.structs.replace(active(ordered()), grant="g"))
    lab.conductor.away["renew_grant"] = 1
    lab.image.held[IMAGE] = "queued"
    _, _, fault, _ = await lab.act("createImage")
    assert (fault, granted) == (None, ["g+++"])
