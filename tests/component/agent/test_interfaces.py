"""Interfaces that a server gets and loses on its host, while its guest runs and while it is off."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kilonova.compute.models import NetworkRequest, ServerRef, Vif
from kilonova.compute.port_ids import port_id_for
from kilonova.compute.virt.driver import PowerState, VirtError
from kilonova.compute.virt.fake import FakeDriver
from tests.component.agent.lab import CTX, HOST, NETWORK, NOTHING, PORT, Lab, active, build_of, server_id
from tests.eventually import until

ADDED, GIVEN = port_id_for(server_id(), 1), "bbbbbbbb-0000-4000-8000-000000000001"
MACS = {ADDED: "fa:16:3e:00:00:02", GIVEN: "fa:16:3e:00:00:03"}
ATTACHED = ["plug_port", "hot_plug", "attach_interface"]
DETACHED = ["hot_unplug", "unplug_port", "detach_interface"]


def vif(port_id: str) -> Vif:
    details = {"tap_name": f"tap{port_id[:11]}", "bridge_name": "brq"}
    return Vif(
        port_id=port_id, network_id=NETWORK, network_name="net", mac_address=MACS[port_id], details=details,
        created=port_id == ADDED,
    )  # fmt: skip


async def with_port(lab: Lab, port_id: str, **fake: Any) -> None:
    """A running server whose row has one more interface, its port made and bound, as the API leaves it."""
    await lab.start(**fake)
    assert (await lab.launch(build_of())).ok
    lab.network.add(port_id, device_id=server_id(), **{"binding:host_id": HOST, "mac_address": MACS[port_id]})
    want = NetworkRequest(network_id=NETWORK, port_id=None if port_id == ADDED else port_id)
    row = lab.row()
    spec = msgspec.structs.replace(row.spec, networks=[*row.spec.networks, want])
    lab.conductor.take(msgspec.structs.replace(row, spec=spec))
    lab.conductor.outcomes[-1].network_info.append(vif(port_id))


async def act(lab: Lab, action: str, port_id: str) -> tuple[Any, list[str]]:
    _, _, fault, steps = await lab.act(action, arguments={"port": port_id, "mac": MACS[port_id]})
    return fault, steps


def macs(lab: Lab) -> set[str]:
    return set(lab.hypervisor.guests(HOST)[server_id()].macs) & set(MACS.values())


@pytest.mark.parametrize("port_id", [ADDED, GIVEN])
@pytest.mark.parametrize("off", [False, True])
async def test_there_and_back(lab: Lab, port_id: str, off: bool) -> None:
    await with_port(lab, port_id)
    if off:
        await lab.act("stop")
    plugged = lab.wiring.plugged | ({port_id} if not off else set())
    assert await act(lab, "attach_interface", port_id) == (None, ATTACHED)
    assert (macs(lab), lab.wiring.plugged) == ({MACS[port_id]}, plugged)
    assert lab.conductor.asked[-1] == server_id()  # the row shows it
    assert await act(lab, "detach_interface", port_id) == (None, DETACHED)
    assert (macs(lab), port_id in lab.wiring.plugged) == (set(), False)
    if port_id == ADDED:
        assert set(lab.network.made) == {PORT}
    else:
        assert lab.network.made[GIVEN].device_id == ""
    await lab.terminate()
    lab.network.made.pop(GIVEN, None)
    assert lab.traces() == NOTHING


@pytest.mark.parametrize("step", ATTACHED)
async def test_what_can_not_be_attached_leaves_nothing(lab: Lab, step: str) -> None:
    await with_port(lab, ADDED)
    lab.fault(step, "fail", when="after")
    fault, _ = await act(lab, "attach_interface", ADDED)
    assert fault is not None
    assert (macs(lab), lab.wiring.plugged, set(lab.network.made)) == (set(), {PORT}, {PORT})


async def test_a_guest_that_does_not_let_go_keeps_its_interface(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_port(lab, ADDED)
    await act(lab, "attach_interface", ADDED)

    async def keep(self: FakeDriver, uuid: str, mac: str, *, timeout: float) -> bool:
        return False

    monkeypatch.setattr(FakeDriver, "detach_interface", keep)
    fault, _ = await act(lab, "detach_interface", ADDED)
    assert (fault.step, fault.reason) == ("hot_unplug", "the guest does not let go of the interface")
    assert (lab.wiring.plugged, set(lab.network.made)) == ({PORT, ADDED}, {PORT, ADDED})


@pytest.mark.parametrize("operation", ["attach_interface", "detach_interface"])
async def test_an_action_that_was_cut_off_is_done_again(lab: Lab, operation: str) -> None:
    """Clients see no task_state of it: the journal alone says what the host was at."""
    await with_port(lab, ADDED)
    if operation == "detach_interface":
        await act(lab, "attach_interface", ADDED)
    await lab.crash()
    agent = await lab.start(delay={operation: 30})
    row = msgspec.structs.replace(
        lab.row(), action=operation, request_id="req-7", arguments={"port": ADDED, "mac": MACS[ADDED]}
    )
    lab.conductor.take(active(row))
    await lab.host.run_action(CTX, ServerRef(build=row, request_id="req-7", action=operation))
    runs = agent.manager.host.journal
    await until(
        lambda: any(
            step.step.startswith("hot_") for run in runs.unfinished(HOST).values() for step in run.steps.values()
        )
    )
    await lab.crash()
    before = len(lab.conductor.ended)
    await lab.start()
    await until(lambda: len(lab.conductor.ended) > before)
    done, _, fault, _ = lab.conductor.ended[-1]
    assert (done, fault) == (operation, None)
    assert macs(lab) == ({MACS[ADDED]} if operation == "attach_interface" else set())
    await lab.idle()
    assert lab.journal.unfinished(HOST) == {}


async def test_a_driver_that_refuses_is_told_in_the_steps_words(lab: Lab) -> None:
    await with_port(lab, ADDED, fail={"attach_interface": 1.0})
    fault, _ = await act(lab, "attach_interface", ADDED)
    assert fault.reason == "the hypervisor could not attach the interface"
    assert VirtError.__name__ in fault.details


async def test_a_port_that_went_behind_computes_back_leaves_the_guest(lab: Lab) -> None:
    """Repeated messages, and those for a guest that is gone, do nothing."""
    await with_port(lab, ADDED)
    await act(lab, "attach_interface", ADDED)
    assert macs(lab) == {MACS[ADDED]}
    for server in (ADDED, server_id(), server_id()):
        await lab.host.drop_interfaces(CTX, server, {ADDED: MACS[ADDED]})
    await until(lambda: macs(lab) == set())
    assert await lab.driver.power_state(server_id()) is PowerState.RUNNING


async def test_a_port_that_another_server_has_by_now_stays_plugged(lab: Lab) -> None:
    """Its id is still in the request of the server that had it before."""
    await with_port(lab, GIVEN)
    await act(lab, "attach_interface", GIVEN)
    await act(lab, "detach_interface", GIVEN)
    lab.conductor.outcomes[-1].network_info.pop()
    other = {"device_id": server_id(2), "binding:host_id": HOST, "mac_address": MACS[GIVEN]}
    lab.network.add(GIVEN, **other)
    lab.wiring.plugged.add(GIVEN)
    await lab.terminate()
    assert (lab.wiring.plugged, set(lab.network.made)) == ({GIVEN}, {GIVEN})
    assert lab.network.made[GIVEN].device_id == server_id(2)
