"""Stop, start, reboot, removal, consoles and events of a server that is on the host."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.agent.manager import ConsoleUnavailable
from kilonova.compute.errors import InvalidState, NotSupported
from kilonova.compute.models import Move, NetworkRequest, Vif
from kilonova.compute.port_ids import port_id_for
from kilonova.compute.virt.driver import GuestSpec, PowerState, VirtError
from kilonova.compute.virt.fake import FakeDriver, FakeOptions
from kilonova.core import errors
from kilonova.core.clock import Clock
from tests.component.agent.lab import CTX, HOST, NETWORK, NOTHING, PORT, POWERED_ON, Lab, active, build_of, server_id
from tests.eventually import until
from tests.unit.virt.bare import BareDriver


async def running(lab: Lab, **fake: Any) -> None:
    """A launched server."""
    await lab.start(**fake)
    assert (await lab.launch(build_of())).ok


def defined(lab: Lab) -> list[GuestSpec]:
    """The definitions that the hypervisor gets from now on."""
    made: list[GuestSpec] = []
    define = lab.driver.define

    async def remember(guest: GuestSpec) -> None:
        made.append(guest)
        await define(guest)

    lab.driver.define = remember  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize("action", ["start", "reboot_hard"])
@pytest.mark.parametrize("away", [False, True])
async def test_a_guest_comes_up_with_the_ports_it_has_now(lab: Lab, action: str, away: bool) -> None:
    """With the ports that the conductor answers; with those of its row when it does not answer."""
    await lab.start()
    assert (await lab.launch(build_of(networks=2))).ok
    first, second = lab.row().server.network_info
    changed = msgspec.structs.replace(second, mtu=1200)
    lab.conductor.interfaces = {} if away else {server_id(): [changed]}
    if action == "start":
        await lab.act("stop")
        assert lab.conductor.asked == []
    made = defined(lab)
    _, change, fault, steps = await lab.act(action)
    assert (fault, tuple(steps)) == (None, POWERED_ON)
    assert lab.conductor.asked == [server_id()]
    (guest,) = made
    expected = [first, second] if away else [changed]
    assert [(i.mac, i.vif.tap_name, i.mtu) for i in guest.interfaces] == [
        (v.mac_address, v.device_name, v.mtu) for v in expected
    ]
    assert isinstance(change.network_info, msgspec.UnsetType)  # the conductor has written it: nothing older may follow


async def test_a_guest_does_not_come_up_with_a_port_that_is_bound_nowhere(lab: Lab) -> None:
    await lab.start()
    assert (await lab.launch(build_of())).ok
    (vif,) = lab.row().server.network_info
    lab.conductor.interfaces = {server_id(): [msgspec.structs.replace(vif, vif_type="unbound", details={})]}
    await lab.act("stop")
    made = defined(lab)
    _, _, fault, _ = await lab.act("start")
    assert fault is not None
    assert fault.reason == f"Port {vif.port_id} is not bound to a host."
    assert made == []


async def test_an_evacuation_brings_up_the_ports_that_are_left(lab: Lab) -> None:
    """A port that its user deleted is not made again, and the user's own that is gone is no failure."""
    await lab.start()
    ids = ["bbbbbbbb-0000-4000-8000-000000000001", port_id_for(server_id(), 0), port_id_for(server_id(), 1)]
    build = build_of(networks=2, vm_state="active", task_state="rebuilding", host="dead")
    wanted = [*build.spec.networks, NetworkRequest(port_id=ids[0])]
    left = Vif(port_id=ids[2], network_id=NETWORK, network_name="net", mac_address="fa:16:3e:00:00:01")
    lab.network.add(ids[2], device_id=server_id(), **{"binding:host_id": "dead"})
    build = msgspec.structs.replace(
        build, action="evacuate", spec=msgspec.structs.replace(build.spec, networks=wanted),
        server=msgspec.structs.replace(build.server, network_info=[left]),
        move=Move(kind="evacuation", migration="m", source="dead", shared=False),
    )  # fmt: skip
    lab.conductor.take(msgspec.structs.replace(build, server=msgspec.structs.replace(build.server, host=HOST)))
    ref = models.ServerRef(build=build, request_id="req-1", action="evacuate")
    await lab.host.run_action(CTX, ref)
    await until(lambda: lab.conductor.outcomes)
    assert lab.conductor.outcomes[-1].fault is None
    assert [vif.port_id for vif in lab.conductor.outcomes[-1].network_info] == [ids[2]]
    assert set(lab.network.made) == {ids[2]}


async def test_stop_and_start(lab: Lab) -> None:
    await running(lab)
    action, change, fault, _ = await lab.act("stop")
    assert (action, fault) == ("stop", None)
    assert (change.vm_state, change.task_state, change.power_state) == ("stopped", None, PowerState.SHUTDOWN)
    assert change.expect_host == HOST
    assert lab.power() is PowerState.SHUTDOWN
    assert lab.wiring.plugged == set()
    assert set(lab.network.made) == {PORT}
    _, change, fault, steps = await lab.act("start")
    assert (change.vm_state, change.power_state, fault) == ("active", PowerState.RUNNING, None)
    assert tuple(steps) == POWERED_ON
    assert lab.power() is PowerState.RUNNING
    assert lab.wiring.plugged == {PORT}
    assert lab.journal.unfinished(HOST) == {}


async def test_a_deaf_guest_is_stopped_all_the_same(tmp_path: Path) -> None:
    lab = Lab(tmp_path, shutdown_timeout=0.05)
    await lab.open()
    await running(lab, ignore_acpi="*")
    _, change, fault, _ = await lab.act("stop")
    assert (change.vm_state, fault, lab.power()) == ("stopped", None, PowerState.SHUTDOWN)
    await lab.close()


@pytest.mark.parametrize(
    ("action", "deaf", "steps"),
    [
        ("reboot", "", ("soft_reboot",)),
        ("reboot", "*", ("soft_reboot", *POWERED_ON)),
        ("reboot_hard", "", POWERED_ON),
    ],
)
async def test_reboots(tmp_path: Path, action: str, deaf: str, steps: tuple[str, ...]) -> None:
    """Soft where the guest obeys, hard where it does not or the request says so."""
    lab = Lab(tmp_path, shutdown_timeout=0.05)
    await lab.open()
    await running(lab, ignore_acpi=deaf)
    _, change, fault, done = await lab.act(action)
    assert (change.vm_state, change.power_state, fault) == ("active", PowerState.RUNNING, None)
    assert tuple(done) == steps
    await lab.close()


FAILED: list[tuple[str, PowerState, dict[str, Any], str, str]] = [
    # action, the guest before, what fails, the state afterwards, the fault's step
    ("start", PowerState.SHUTDOWN, {"start": "*"}, "stopped", "start"),
    ("start", PowerState.SHUTDOWN, {"define": "*"}, "stopped", "define"),
    ("stop", PowerState.RUNNING, {"shutdown": "*"}, "active", "power_off"),
    ("reboot", PowerState.RUNNING, {"shutdown": "*"}, "active", "soft_reboot"),
    ("reboot_hard", PowerState.RUNNING, {"define": "*"}, "error", "define"),
    ("reboot_hard", PowerState.RUNNING, {"destroy": "*"}, "active", "destroy"),
]


@pytest.mark.parametrize(("action", "before", "fail", "vm_state", "step"), FAILED)
async def test_a_failed_action_reports_the_guests_power_state(
    lab: Lab, action: str, before: PowerState, fail: dict[str, Any], vm_state: str, step: str
) -> None:
    build = lab.conductor.take(active(build_of(), vm_state="active" if before is PowerState.RUNNING else "stopped"))
    lab.put_guest(before)
    lab.options = type(lab.options)(resume_guests_on_boot=False)
    await lab.start(fail=fail)
    _, change, fault, _ = await lab.act(action)
    assert fault is not None
    assert fault.step == step
    assert "hypervisor" in fault.reason
    assert "fails by its options" not in fault.reason
    assert "fails by its options" in (fault.details or "")
    assert (change.vm_state, change.task_state, change.power_state) == (vm_state, None, int(lab.power()))
    assert lab.journal.unfinished(HOST) == {}
    assert server_id() in lab.hypervisor.guests(HOST)  # a failed action never takes the server away
    assert build.server.uuid in lab.hypervisor.disks(HOST)


async def test_the_end_is_reported_when_the_hypervisor_is_gone(lab: Lab) -> None:
    """Else the server would stay in powering-off for ever."""

    class Dead(FakeDriver):
        async def power_state(self, uuid: str) -> PowerState:
            raise VirtError("libvirt: connection refused")

    await lab.start(driver=Dead(HOST, lab.hypervisor, FakeOptions()))
    lab.conductor.take(active(build_of(), vm_state="active", task_state="powering-off", host=HOST))
    _, change, fault, _ = await lab.act("stop")
    assert fault is not None
    assert fault.reason == "the hypervisor could not stop the guest"
    assert "libvirt: connection refused" in (fault.details or "")
    assert change.task_state is None


async def test_an_action_whose_guest_can_not_be_read_afterwards_has_failed(lab: Lab) -> None:
    class Dying(FakeDriver):
        async def power_state(self, uuid: str) -> PowerState:
            state = await super().power_state(uuid)
            if state is PowerState.SHUTDOWN:
                raise VirtError("libvirt: connection refused")
            return state

    lab.conductor.take(active(build_of(networks=0)))
    lab.put_guest(PowerState.RUNNING)
    await lab.start(driver=Dying(HOST, lab.hypervisor, FakeOptions()))
    _, change, fault, _ = await lab.act("stop")
    assert fault is not None
    assert fault.reason == "the guest's state could not be read from the hypervisor"
    assert (change.vm_state, change.task_state) == ("error", None)


async def test_actions_on_one_server_take_turns(tmp_path: Path) -> None:
    lab = Lab(tmp_path, shutdown_timeout=0.1)
    await lab.open()
    await running(lab, ignore_acpi="*")
    row = lab.row()
    await lab.host.run_action(CTX, models.ServerRef(build=row, request_id="req-2", action="stop"))
    await lab.host.run_action(CTX, models.ServerRef(build=row, request_id="req-3", action="start"))
    await until(lambda: len(lab.conductor.ended) == 2)
    assert [action for action, *_ in lab.conductor.ended] == ["stop", "start"]
    assert lab.power() is PowerState.RUNNING
    await lab.close()


async def test_an_actions_end_is_reported_until_the_conductor_answers(lab: Lab) -> None:
    await running(lab)
    lab.conductor.away["action_ended"] = 1
    _, change, _, _ = await lab.act("stop")
    assert change.vm_state == "stopped"
    assert len(lab.conductor.ended) == 1


# ---- removal


async def test_termination_removes_everything(lab: Lab) -> None:
    await running(lab)
    await lab.terminate()
    assert lab.traces() == NOTHING
    assert lab.conductor.deleted == [server_id()]
    ref = models.ServerRef(build=build_of(), request_id="req-9", action="delete")
    await lab.host.run_action(CTX, ref)  # once more is harmless
    await until(lambda: len(lab.conductor.deleted) == 2)


@pytest.mark.parametrize(
    "step", ["accept", "networking", "image", "define", "plug", "start", "await_network", "running"]
)
async def test_termination_interrupts_a_build_at_any_step(lab: Lab, step: str) -> None:
    await lab.start()
    lab.fault(step, "hang", "after")
    await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of()))
    await until(
        lambda: any(step in run.steps[k].step for run in lab.journal.unfinished(HOST).values() for k in run.steps)
    )
    await asyncio.sleep(0.01)
    await lab.terminate()
    await lab.idle()
    assert lab.traces() == NOTHING
    assert lab.conductor.outcomes == []


async def test_termination_interrupts_all_that_waits_in_line(tmp_path: Path) -> None:
    """A soft reboot waits for a deaf guest, a hard one waits for it: neither may bring the guest back afterwards."""
    waiting, over = asyncio.Event(), asyncio.Event()

    class Held(Clock):
        async def sleep(self, seconds: float) -> None:
            waiting.set()
            await over.wait()

    lab = Lab(tmp_path)
    lab.hypervisor.clock = Held()
    await lab.open()
    await running(lab, ignore_acpi="*")
    row = lab.row()
    lab.conductor.busy_with(server_id(), "rebooting")
    await lab.host.run_action(CTX, models.ServerRef(build=row, request_id="req-2", action="reboot"))
    await waiting.wait()
    lab.conductor.busy_with(server_id(), "rebooting_hard")
    await lab.host.run_action(CTX, models.ServerRef(build=row, request_id="req-3", action="reboot_hard"))
    await asyncio.sleep(0.02)
    await lab.terminate()
    over.set()
    await asyncio.sleep(0.3)
    assert lab.traces() == NOTHING
    assert lab.conductor.ended == []
    await lab.close()


async def test_a_removal_that_fails_is_not_reported_as_done(lab: Lab) -> None:
    await running(lab)
    lab.network.fail["delete_ports"] = errors.ServiceUnavailable(reason="network away")
    ref = models.ServerRef(build=lab.row(), request_id="req-9", action="delete")
    await lab.host.run_action(CTX, ref)
    await asyncio.sleep(0.05)
    assert lab.conductor.deleted == []
    lab.network.fail.clear()  # it is tried again without being asked
    await until(lambda: lab.conductor.deleted)
    assert lab.traces() == NOTHING


async def test_an_action_sent_twice_is_done_once(lab: Lab) -> None:
    """The process died before it could note that the message was handled: it comes again when the server runs long since."""
    await running(lab)
    await lab.act("stop")
    old = models.ServerRef(build=lab.row(), request_id="req-2", action="stop")
    await lab.act("start")
    await lab.host.run_action(CTX, old)
    await until(lambda: len(lab.conductor.ended) == 3)
    assert lab.power() is PowerState.RUNNING
    assert lab.conductor.ended[-1][1] == models.ServerChange(expect_host=HOST)


# ---- what the hypervisor sees, consoles, verify


async def test_a_guest_that_powers_off_by_itself_is_reported(lab: Lab) -> None:
    await running(lab)
    lab.conductor.away["power_state_seen"] = 0
    lab.hypervisor.become(HOST, server_id(), PowerState.SHUTDOWN, "shutdown")
    await until(lambda: lab.conductor.powers)
    assert lab.conductor.powers == [(server_id(), PowerState.SHUTDOWN)]


async def test_a_change_without_a_listener_is_reported_later(lab: Lab) -> None:
    from kilonova.compute.conductor.interface import ConductorAPI

    await running(lab)
    await lab.bus.withdraw(ConductorAPI, host="c")
    lab.hypervisor.become(HOST, server_id(), PowerState.CRASHED, "crashed")
    await asyncio.sleep(0.05)
    await lab.bus.serve(ConductorAPI, lab.conductor, host="c")
    await until(lambda: lab.conductor.powers)
    assert lab.conductor.powers == [(server_id(), PowerState.CRASHED)]


async def test_power_changes_during_an_action_are_the_actions_own(lab: Lab) -> None:
    await running(lab)
    await lab.act("stop")
    await lab.act("start")
    await asyncio.sleep(0.02)
    assert lab.conductor.powers == []


async def test_a_hypervisor_without_consoles_is_an_error(lab: Lab) -> None:
    await lab.start(driver=BareDriver(HOST, lab.hypervisor, FakeOptions()))
    assert (await lab.launch(build_of())).ok
    for ask in (
        lab.host.console_output(CTX, server_id(), 10), lab.host.find_console(CTX, server_id(), "vnc"),
        lab.host.diagnostics(CTX, server_id()),
    ):  # fmt: skip
        with pytest.raises(NotSupported, match="The requested functionality is not supported"):
            await ask


async def test_consoles_and_inventory(lab: Lab) -> None:
    await running(lab)
    assert b"login:" in await lab.host.console_output(CTX, server_id(), 1000)
    assert await lab.host.console_output(CTX, server_id(), 7) == b"login: "
    mine = [server_id()]
    assert await lab.host.inventory(CTX) == {
        "guests": mine, "running": mine, "disks": mine, "journal": [], "storage": [],
    }  # fmt: skip
    with pytest.raises(ConsoleUnavailable):
        await lab.host.console_output(CTX, server_id(9), 10)


async def test_diagnostics_of_running_guests(lab: Lab) -> None:
    await running(lab)
    assert (await lab.host.diagnostics(CTX, server_id())).driver == "fake"
    await lab.act("pause")
    words = f"Cannot 'get_diagnostics' instance {server_id()} while it is in power state paused"
    with pytest.raises(InvalidState, match=words):
        await lab.host.diagnostics(CTX, server_id())


@pytest.mark.parametrize("here", [False, True])
async def test_a_server_whose_disks_are_shared_leaves_no_guest_behind(lab: Lab, here: bool) -> None:
    """It was being brought back here when it was deleted on its new host; one that is here by right goes on."""
    await lab.start()
    await lab.launch(build_of())
    gone = models.Departed(
        migration="m-1", server_uuid=server_id(), shared=True, port_ids=[PORT], aside=True, here=here
    )
    lab.conductor.departed["m-1"] = gone
    await lab.host.guests_departed(CTX)
    await until(lambda: not lab.conductor.departed)
    assert lab.power() is (PowerState.RUNNING if here else PowerState.NOSTATE)
    assert lab.wiring.plugged == ({PORT} if here else set())
    assert server_id() in lab.hypervisor.disks(HOST)
