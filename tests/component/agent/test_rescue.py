"""Servers that start from a rescue disk, and come back as they were."""

from __future__ import annotations

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.compute.virt.fake import FakeDriver, FakeOptions
from tests.component.agent.lab import CTX, HOST, PORT, Lab, build_of
from tests.eventually import until

OTHER = models.Image(id="image-2", disk_format="qcow2", size=100)
RESCUED = [
    "refresh_network", "power_off", "image", "rescue", "define", "plug", "start", "await_network", "resume", "running",
]  # fmt: skip


class Defining(FakeDriver):
    def __init__(self) -> None:
        self.defined: list[GuestSpec] = []

    async def define(self, guest: GuestSpec) -> None:
        self.defined.append(guest)
        await super().define(guest)


async def running(lab: Lab, rescue: models.Rescue | None, **options: object) -> Defining:
    """A server with an ephemeral disk, and what it is to be rescued with."""
    driver = Defining()
    FakeDriver.__init__(driver, HOST, lab.hypervisor, FakeOptions(**options))  # type: ignore[arg-type]
    await lab.start(driver=driver)
    build = build_of()
    flavor = msgspec.structs.replace(build.spec.flavor, ephemeral_gb=1)
    assert (
        await lab.launch(msgspec.structs.replace(build, spec=msgspec.structs.replace(build.spec, flavor=flavor)))
    ).ok
    ask(lab, rescue)
    return driver


def ask(lab: Lab, rescue: models.Rescue | None) -> None:
    (uuid,) = lab.conductor.rows
    row = lab.conductor.rows[uuid]
    lab.conductor.rows[uuid] = msgspec.structs.replace(row, spec=msgspec.structs.replace(row.spec, rescue=rescue))


def disks(guest: GuestSpec) -> list[tuple[str, str, str, str, int | None]]:
    return [(disk.source.path.name, disk.target, disk.bus, disk.device, disk.boot_index) for disk in guest.disks]


OWN = [("disk", "vda", "virtio", "disk", 1), ("disk.eph0", "vdb", "virtio", "disk", None)]
FIRST = [
    ("disk.rescue", "vda", "virtio", "disk", 0), ("disk", "vdb", "virtio", "disk", 1),
    ("disk.eph0", "vdc", "virtio", "disk", None),
]  # fmt: skip


def stable(**properties: str) -> models.Image:
    return msgspec.structs.replace(OTHER, properties=properties)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (None, FIRST),
        (OTHER, FIRST),
        (stable(hw_rescue_bus="scsi"), [*OWN, ("disk.rescue", "vdc", "scsi", "disk", 0)]),
        (stable(hw_rescue_device="cdrom"), [*OWN, ("disk.rescue", "vdc", "virtio", "cdrom", 0)]),
    ],
)
async def test_there_and_back(lab: Lab, image: models.Image | None, expected: list[object]) -> None:
    driver = await running(lab, models.Rescue(image=image, admin_pass="secret"))
    assert disks(driver.defined[-1]) == OWN
    before = driver.defined[-1]
    done, change, fault, steps = await lab.act("rescue")
    assert (done, fault) == ("rescue", None)
    assert [step for step in steps if step != "personalise"] == RESCUED
    assert (change.vm_state, change.task_state, lab.power()) == ("rescued", None, PowerState.RUNNING)
    assert disks(driver.defined[-1]) == expected
    assert lab.wiring.plugged == {PORT}
    ask(lab, None)
    done, change, fault, _ = await lab.act("unrescue")
    assert (done, fault, change.vm_state, lab.power()) == ("unrescue", None, "active", PowerState.RUNNING)
    assert driver.defined[-1] == before
    assert "secret" not in (lab.path / "journal.jsonl").read_text()


async def test_a_failure_is_an_error_that_a_hard_reboot_mends(lab: Lab) -> None:
    driver = await running(lab, models.Rescue(image=OTHER), fail={"rescue": "*"})
    _, change, fault, _ = await lab.act("rescue")
    assert fault is not None
    assert (fault.step, fault.reason) == ("rescue", "creating the rescue disk from its image failed")
    assert (change.vm_state, lab.power()) == ("error", PowerState.SHUTDOWN)
    _, change, fault, _ = await lab.act("reboot_hard")
    assert (fault, change.vm_state, disks(driver.defined[-1])) == (None, "active", OWN)


@pytest.mark.parametrize("step", [*RESCUED, "personalise"])
async def test_a_host_that_died_at_a_step_rescues_it_again(lab: Lab, step: str) -> None:
    await running(lab, models.Rescue(image=OTHER))
    (uuid,) = lab.conductor.rows
    lab.fault(step, "hang", "after")
    lab.conductor.busy_with(uuid, "rescuing")
    await lab.host.run_action(CTX, models.ServerRef(build=lab.row(), request_id="req-2", action="rescue"))
    await until(lambda: lab.faults.rules[-1].count == 0)
    await lab.crash()
    lab.faults.rules.clear()
    lab.conductor.rows[uuid] = msgspec.structs.replace(lab.row(), action="rescue")
    await lab.start()
    await until(lambda: lab.conductor.ended)
    await lab.idle()
    ((action, change, fault, _),) = lab.conductor.ended
    assert (action, fault, change.vm_state, lab.power()) == ("rescue", None, "rescued", PowerState.RUNNING)


async def test_a_rescued_server_is_rescued_again_after_its_host_was_off(lab: Lab) -> None:
    driver = await running(lab, models.Rescue(image=OTHER))
    await lab.act("rescue")
    (uuid,) = lab.conductor.rows
    row = lab.row()
    lab.conductor.rows[uuid] = msgspec.structs.replace(
        row, server=msgspec.structs.replace(row.server, vm_state="rescued", power_state=1)
    )
    await lab.crash()
    lab.put_guest(PowerState.SHUTDOWN)
    await lab.start(driver=driver)
    await until(lambda: len(lab.conductor.ended) == 2)
    await lab.idle()
    assert (lab.conductor.ended[-1][0], lab.power(), disks(driver.defined[-1])) == ("rescue", PowerState.RUNNING, FIRST)
