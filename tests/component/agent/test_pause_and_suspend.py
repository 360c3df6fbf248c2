"""Guests that are frozen, guests whose memory is on the host's disk, and guests that are interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.fake import FakeOptions
from tests.component.agent.lab import HOST, PORT, POWERED_ON, Lab, active, build_of
from tests.unit.virt.bare import BareDriver

RESUMED = ("refresh_network", "plug", "restore", "await_network", "resume", "running")
TURNS: list[tuple[str, str, PowerState, tuple[str, ...], set[str]]] = [
    # action, vm_state and guest afterwards, steps, ports that are plugged
    ("pause", "paused", PowerState.PAUSED, ("pause",), {PORT}),
    ("unpause", "active", PowerState.RUNNING, ("unpause",), {PORT}),
    ("suspend", "suspended", PowerState.SUSPENDED, ("suspend", "unplug"), set()),
    ("resume", "active", PowerState.RUNNING, RESUMED, {PORT}),
    ("pause", "paused", PowerState.PAUSED, ("pause",), {PORT}),
    ("reboot_hard", "active", PowerState.RUNNING, POWERED_ON, {PORT}),
    ("suspend", "suspended", PowerState.SUSPENDED, ("suspend", "unplug"), set()),
    ("reboot_hard", "active", PowerState.RUNNING, POWERED_ON, {PORT}),
]


async def running(lab: Lab, **fake: Any) -> None:
    await lab.start(**fake)
    assert (await lab.launch(build_of())).ok


async def test_there_and_back(lab: Lab) -> None:
    await running(lab)
    for action, vm_state, state, steps, plugged in TURNS:
        done, change, fault, did = await lab.act(action)
        assert (done, fault, tuple(did)) == (action, None, steps)
        assert (change.vm_state, change.task_state, change.power_state) == (vm_state, None, state)
        assert (lab.power(), lab.wiring.plugged) == (state, plugged)
        assert lab.journal.unfinished(HOST) == {}
    await lab.act("suspend")
    await lab.terminate()
    assert lab.power() is PowerState.NOSTATE


async def test_a_resume_that_fails_keeps_the_memory(tmp_path: Path) -> None:
    lab = Lab(tmp_path, vif_plugging_timeout=0.05)
    await lab.open()
    await running(lab)
    await lab.act("suspend")
    lab.wiring.event = ""
    _, change, fault, _ = await lab.act("resume")
    assert fault is not None
    assert fault.step == "await_network"
    assert (change.vm_state, change.power_state) == ("suspended", PowerState.SUSPENDED)
    assert (lab.power(), lab.wiring.plugged) == (PowerState.SUSPENDED, set())
    lab.wiring.event = "completed"
    _, change, fault, _ = await lab.act("resume")
    assert (change.vm_state, fault, lab.power()) == ("active", None, PowerState.RUNNING)
    await lab.close()


FAILED = [
    # action, the guest before, what fails, the state afterwards, the reason
    ("pause", PowerState.RUNNING, "pause", "active", "the hypervisor could not pause the guest"),
    ("unpause", PowerState.PAUSED, "resume", "paused", "the hypervisor could not let the guest run on"),
    ("suspend", PowerState.RUNNING, "suspend", "active", "the hypervisor could not save the guest's memory"),
    ("resume", PowerState.SUSPENDED, "restore", "suspended", "the hypervisor could not restore the guest's memory"),
    ("resume", PowerState.SHUTDOWN, "", "error", "the hypervisor could not restore the guest's memory"),
]


@pytest.mark.parametrize(("action", "before", "fails", "vm_state", "reason"), FAILED)
async def test_a_failure_leaves_the_server_as_its_guest_is(
    lab: Lab, action: str, before: PowerState, fails: str, vm_state: str, reason: str
) -> None:
    lab.options = type(lab.options)(resume_guests_on_boot=False)
    lab.conductor.take(active(build_of(networks=0)))
    lab.put_guest(before)
    await lab.start(fail={fails: "*"} if fails else {})
    _, change, fault, _ = await lab.act(action)
    assert fault is not None
    assert fault.reason == reason
    assert (change.vm_state, change.task_state, change.power_state) == (vm_state, None, before)
    assert lab.power() is before


async def test_a_hypervisor_that_cannot_suspend_is_an_error(lab: Lab) -> None:
    await lab.start(driver=BareDriver(HOST, lab.hypervisor, FakeOptions()))
    assert (await lab.launch(build_of())).ok
    _, change, fault, _ = await lab.act("suspend")
    assert fault is not None
    assert fault.reason == "the hypervisor can't suspend guests"
    assert (change.vm_state, lab.power(), lab.wiring.plugged) == ("active", PowerState.RUNNING, {PORT})


@pytest.mark.parametrize("state", [PowerState.RUNNING, PowerState.PAUSED])
async def test_a_crash_dump_changes_no_state(lab: Lab, state: PowerState) -> None:
    lab.conductor.take(active(build_of(networks=0), vm_state="error"))
    lab.put_guest(state)
    await lab.start()
    done, change, fault, steps = await lab.act("trigger_crash_dump")
    assert (done, fault, steps) == ("trigger_crash_dump", None, ["crash_dump"])
    assert (change.vm_state, change.task_state, change.power_state) == (UNSET, None, state)
    assert lab.power() is state


async def test_a_crash_dump_that_fails_changes_no_state(lab: Lab) -> None:
    lab.conductor.take(active(build_of(networks=0), vm_state="error"))
    await lab.start(driver=BareDriver(HOST, lab.hypervisor, FakeOptions()))
    lab.put_guest(PowerState.RUNNING)
    _, change, fault, _ = await lab.act("trigger_crash_dump")
    assert fault is not None
    assert fault.reason == "Triggering crash dump is not supported"
    assert change.vm_state is UNSET
