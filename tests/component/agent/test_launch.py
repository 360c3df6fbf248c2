"""A build on one host: its steps, its end, what is left when it fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kilonova.compute import models
from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.agent.runner import SHOWN_AFTER
from kilonova.compute.guest_facts import facts_of
from kilonova.compute.vifs import _subnet
from kilonova.compute.virt.driver import GuestSpec, PowerState
from kilonova.compute.virt.fake import FakeDriver
from kilonova.compute.virt.fake_options import FakeOptions
from kilonova.compute.virt.personalise import network_data
from kilonova.core import errors
from kilonova.network.client import SubnetRecord
from tests.component.agent.lab import CREATED, CTX, HOST, NOTHING, PORT, STEPS, Lab, active, build_of, server_id
from tests.eventually import PATIENCE, until


async def test_a_launch_does_its_steps_in_order_and_reports_each(lab: Lab) -> None:
    await lab.start()
    outcome = await lab.launch(build_of())
    assert (outcome.ok, outcome.fault, outcome.host, outcome.attempt) == (True, None, HOST, 1)
    assert tuple(step.step for step in outcome.steps) == CREATED
    for step in outcome.steps:
        assert (step.result, step.host, step.component, step.server_uuid) == ("Success", HOST, "compute", server_id())
        assert step.request_id == "req-1"
        assert step.finished_at is not None
        assert step.started_at <= step.finished_at
    assert len({step.key for step in outcome.steps}) == len(CREATED)
    assert outcome.power_state == PowerState.RUNNING
    assert lab.power() is PowerState.RUNNING
    (vif,) = outcome.network_info
    assert (vif.port_id, vif.active, vif.created, vif.mtu) == (PORT, True, True, 1450)
    assert vif.fixed_ips[0].address == "10.0.0.5"
    assert lab.conductor.tasks == ["networking"]
    assert lab.journal.unfinished(HOST) == {}


async def test_clients_see_the_states_that_last(lab: Lab) -> None:
    await lab.start()
    gates = [lab.path / step for step in ("networking", "block_device_mapping", "define")]
    for gate in gates:
        lab.fault(gate.name, f"wait:{gate}", "after")
    launching = asyncio.ensure_future(lab.launch(build_of()))
    for number, gate in enumerate(gates, 1):
        await until(lambda number=number: len(lab.conductor.tasks) == number)
        gate.touch()
    assert (await launching).ok
    assert lab.conductor.tasks == ["networking", "block_device_mapping", "spawning"]


async def test_without_networks_nothing_is_plugged_or_awaited(lab: Lab) -> None:
    lab.wiring.event = ""
    await lab.start()
    outcome = await lab.launch(build_of(networks=0))
    assert outcome.ok
    assert outcome.network_info == []
    assert lab.network.made == {}


async def test_a_users_port_is_bound_and_given_back(lab: Lab) -> None:
    await lab.start()
    port = "bbbbbbbb-0000-4000-8000-000000000001"
    lab.network.add(port)
    build = build_of(networks=0)
    build = msgspec.structs.replace(
        build, spec=msgspec.structs.replace(build.spec, networks=[models.NetworkRequest(port_id=port)])
    )
    outcome = await lab.launch(build)
    assert outcome.ok
    assert not outcome.network_info[0].created
    bound = lab.network.made[port]
    assert (bound.device_id, bound.host_id, bound.dns_name) == (server_id(), HOST, build.server.hostname)
    await lab.terminate()
    assert lab.traces() == NOTHING | {"ports": {port}}
    free = lab.network.made[port]
    assert (free.device_id, free.host_id, free.dns_name) == ("", "", "")


async def test_a_users_port_with_another_name_is_refused(lab: Lab) -> None:
    await lab.start()
    port = "bbbbbbbb-0000-4000-8000-000000000001"
    lab.network.add(port, dns_name="other")
    build = build_of(networks=0)
    build = msgspec.structs.replace(
        build, spec=msgspec.structs.replace(build.spec, networks=[models.NetworkRequest(port_id=port)])
    )
    outcome = await lab.launch(build)
    assert not outcome.ok
    assert "Value other assigned to dns_name" in str(outcome)
    assert (lab.network.made[port].device_id, lab.network.made[port].dns_name) == ("", "other")


async def test_a_users_port_that_another_server_has_is_refused_and_left(lab: Lab) -> None:
    await lab.start()
    port = "bbbbbbbb-0000-4000-8000-000000000001"
    lab.network.add(port, device_id=server_id(7), **{"binding:host_id": "other"})
    build = build_of(networks=0)
    build = msgspec.structs.replace(
        build, spec=msgspec.structs.replace(build.spec, networks=[models.NetworkRequest(port_id=port)])
    )
    outcome = await lab.launch(build)
    assert outcome.fault is not None
    assert (outcome.fault.step, outcome.reschedule) == ("networking", False)
    assert (lab.network.made[port].device_id, lab.network.made[port].host_id) == (server_id(7), "other")


@pytest.mark.parametrize("step", STEPS)
async def test_a_failure_at_any_step_leaves_nothing(lab: Lab, step: str) -> None:
    await lab.start()
    lab.fault(step, "fail")
    outcome = await lab.launch(build_of())
    assert not outcome.ok
    assert outcome.fault is not None
    assert outcome.fault.step == step
    assert outcome.fault.reason == f"injected fault before step {step}"
    assert outcome.reschedule
    assert lab.traces() == NOTHING
    results = {s.step: s.result for s in outcome.steps}
    assert results == dict.fromkeys(STEPS[: STEPS.index(step)], "Success") | {step: "Error"}


@pytest.mark.parametrize("step", STEPS)
async def test_a_fault_after_a_step(lab: Lab, step: str) -> None:
    await lab.start()
    lab.fault(step, "fail", "after")
    outcome = await lab.launch(build_of())
    assert not outcome.ok
    assert outcome.fault is not None
    assert outcome.fault.step == step
    assert lab.traces() == NOTHING


async def test_steps_are_undone_in_reverse(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    await lab.start()
    undone: list[str] = []
    from kilonova.compute.agent.steps import load
    from kilonova.compute.steps import LAUNCH

    for step in load(LAUNCH):
        kind = type(step)

        async def undo(self: Any, launch: Any, plain: Any = kind.undo) -> None:
            undone.append(self.name)
            await plain(self, launch)

        monkeypatch.setattr(kind, "undo", undo)
    lab.fault("resume", "fail")
    await lab.launch(build_of())
    assert undone == list(reversed(STEPS[: STEPS.index("resume") + 1]))


@pytest.mark.parametrize(
    ("hostname", "domain", "expected"),
    [("web", "novalocal", "web.novalocal"), ("web.example.org", "novalocal", "web.example.org"), ("web", "", "web")],
)
def test_guests_get_a_full_name(hostname: str, domain: str, expected: str) -> None:
    """In the config drive and by the metadata service alike."""
    assert facts_of(build_of(hostname=hostname), [], domain=domain).hostname == expected


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless", "dhcpv6-stateful", None])
def test_guests_read_where_their_ipv6_addresses_come_from(mode: str | None) -> None:
    """From what the network service says of a subnet to `network_data.json`."""
    record = SubnetRecord(
        id="s", name="", description="", project_id="p", tenant_id="p", created_at="", updated_at="", revision_number=1,
        network_id="n", ip_version=6, cidr="fd00:1::/64", gateway_ip="fd00:1::1", enable_dhcp=True, allocation_pools=[],
        dns_nameservers=[], host_routes=[], ipv6_address_mode=mode,
    )  # fmt: skip
    ips = [models.FixedIp(address="fd00:1::5", subnet=_subnet(record))]
    vif = models.Vif(port_id="p", network_id="n", network_name="net", mac_address="fa:16:3e:00:00:01", fixed_ips=ips)
    (shown,) = network_data(facts_of(build_of(), [vif]))["networks"]
    assert shown["type"] == (f"ipv6_{mode}" if mode else "ipv6")
    assert shown.get("ip_address") == (None if mode == "dhcpv6-stateful" else "fd00:1::5")


def test_guests_read_their_first_floating_ip() -> None:
    subnet = models.SubnetInfo(id="s", cidr="10.0.0.0/24")
    ips = [
        models.FixedIp(address="10.0.0.5", subnet=subnet),
        models.FixedIp(address="10.0.0.6", subnet=subnet, floating_ips=["203.0.113.7"]),
    ]
    vif = models.Vif(port_id="p", network_id="n", network_name="net", mac_address="fa:16:3e:00:00:01", fixed_ips=ips)
    assert facts_of(build_of(), [vif]).public_ipv4 == "203.0.113.7"
    assert facts_of(build_of(), []).public_ipv4 == ""


@pytest.mark.parametrize(
    ("given", "bus", "model", "root"),
    [({}, "virtio", "virtio", "vda"), ({"hw_disk_bus": "scsi", "hw_vif_model": "e1000"}, "scsi", "e1000", "sda")],
)
async def test_a_guest_gets_the_devices_its_image_asks_for(
    lab: Lab, given: dict[str, str], bus: str, model: str, root: str
) -> None:
    defined: list[GuestSpec] = []

    class Recording(FakeDriver):
        async def define(self, guest: GuestSpec) -> None:
            defined.append(guest)
            await super().define(guest)

    await lab.start(driver=Recording(HOST, lab.hypervisor, FakeOptions()))
    build = build_of()
    flavor = msgspec.structs.replace(build.spec.flavor, ephemeral_gb=1, extra_specs={"hw:boot_menu": "true"})
    assert build.spec.image is not None
    kernel = msgspec.structs.replace(build.spec.image, id="kernel")
    image = msgspec.structs.replace(build.spec.image, properties=given, kernel=kernel)
    spec = msgspec.structs.replace(build.spec, flavor=flavor, image=image)
    outcome = await lab.launch(msgspec.structs.replace(build, spec=spec))
    assert outcome.ok, outcome.fault
    (guest,) = defined
    assert [disk.bus for disk in guest.disks] == [bus, bus]
    assert [interface.model for interface in guest.interfaces] == [model]
    assert guest.cmdline.startswith(f"root=/dev/{root} ")
    assert guest.properties == {"hw_boot_menu": "true"} | given


@pytest.mark.parametrize(
    ("vif_type", "reason"),
    [
        ("binding_failed", f"Binding failed for port {PORT}"),
        ("unbound", f"Port {PORT} is not bound to a host"),
        ("ovs", f"Unexpected vif_type=ovs of port {PORT}: the host's driver serves bridge"),
    ],
)
async def test_a_port_that_can_not_be_plugged_fails_the_build(lab: Lab, vif_type: str, reason: str) -> None:
    """Before any disk is made; another host may do better, and the port is not left behind."""
    await lab.start()
    lab.network.binding = {"binding:vif_type": vif_type, "binding:vif_details": {}}
    outcome = await lab.launch(build_of())
    assert outcome.fault is not None
    assert outcome.fault.step == "networking"
    assert outcome.fault.reason.startswith(reason)
    assert outcome.reschedule
    assert lab.network.made == {}
    assert await lab.host.inventory(CTX) == {
        "guests": [], "running": [], "disks": [], "journal": [], "storage": [],
    }  # fmt: skip


FAILURES: list[tuple[str, dict[str, Any], str, bool]] = [
    # step, what fails, part of the reason, whether another host may try
    ("accept", {"vcpus": 0}, "vcpus wanted", True),
    ("accept", {"memory_mb": 256}, "512 MiB of memory wanted, the host has less", True),
    ("image", {"fail": {"fetch": "*"}}, "creating the disk from the image failed", True),
    ("image", {"fail": {"overlay": "*"}}, "creating the disk from the image failed", True),
    ("define", {"fail": {"define": "*"}}, "the hypervisor refused the guest's definition", True),
    ("start", {"fail": {"start": "*"}}, "the hypervisor could not start the guest", True),
    ("resume", {"fail": {"resume": "*"}}, "the hypervisor could not resume the guest", True),
]


@pytest.mark.parametrize(("step", "fake", "reason", "reschedule"), FAILURES)
async def test_what_the_host_lacks_is_named(
    lab: Lab, step: str, fake: dict[str, Any], reason: str, reschedule: bool
) -> None:
    await lab.start(**fake)
    outcome = await lab.launch(build_of())
    assert outcome.fault is not None
    assert (outcome.fault.step, outcome.reschedule) == (step, reschedule)
    assert reason in outcome.fault.reason
    assert "fails by its options" not in outcome.fault.reason
    assert step != "accept" or " in all" in (outcome.fault.details or "")  # the host's numbers
    assert "fails by its options" in (outcome.fault.details or "") or not fake.get("fail")
    assert lab.traces() == NOTHING


@pytest.mark.parametrize(
    ("error", "reason", "reschedule"),
    [
        (errors.Conflict("No more IP addresses available on network X."), "No more IP addresses", False),
        (errors.NotFound("Network X could not be found."), "Network X", False),
        (errors.Forbidden("no"), "no", False),
        (errors.ServiceUnavailable(reason="/run/network.sock"), "another service is not available", True),
        (RuntimeError("password=hunter2"), "port creation or binding failed", True),
    ],
)
async def test_the_network_services_error_decides_about_another_host(
    lab: Lab, error: Exception, reason: str, reschedule: bool
) -> None:
    await lab.start()
    lab.network.fail["create_ports"] = error
    outcome = await lab.launch(build_of())
    assert outcome.fault is not None
    assert (outcome.fault.step, outcome.reschedule) == ("networking", reschedule)
    assert reason in outcome.fault.reason
    assert "hunter2" not in outcome.fault.reason
    assert "/run" not in outcome.fault.reason
    assert lab.traces() == NOTHING


async def test_an_undo_that_fails_does_not_keep_the_others_and_is_made_up_for(lab: Lab) -> None:
    await lab.start(fail={"start": "*"})
    lab.network.fail["delete_ports"] = errors.ServiceUnavailable(reason="network away")
    build = build_of()
    lab.conductor.take(build)
    await lab.host.build_and_run_server(CTX, build)
    await until(lambda: lab.conductor.outcomes)
    (outcome,) = lab.conductor.outcomes
    assert outcome.fault is not None
    assert outcome.fault.step == "start"
    left = lab.traces()
    assert {kind for kind in left if left[kind] != NOTHING[kind]} <= {"ports", "journal"}
    assert left["ports"] == {PORT}
    assert lab.journal.unfinished(HOST)  # a later process would see to it
    lab.network.fail.clear()
    await lab.idle()
    assert lab.traces() == NOTHING
    assert lab.journal.unfinished(HOST) == {}


async def test_a_server_that_is_not_to_be_built_here_is_left_alone(lab: Lab) -> None:
    await lab.start()
    build = build_of()
    lab.conductor.take(active(build))
    lab.put_guest(PowerState.RUNNING)
    lab.network.add(PORT, device_id=server_id(), **{"binding:host_id": HOST})
    await lab.host.build_and_run_server(CTX, build)
    await asyncio.sleep(0.02)
    await lab.idle()
    assert lab.conductor.outcomes == []
    assert lab.power() is PowerState.RUNNING
    assert set(lab.network.made) == {PORT}
    assert lab.journal.unfinished(HOST) == {}


async def test_a_server_rescheduled_during_its_build_is_removed_and_not_reported(lab: Lab) -> None:
    lab.wiring.event = ""  # holds the build at await_network
    await lab.start()
    build = lab.conductor.take(build_of())
    lab.fault("networking", "delay:0.05", "after")
    lab.fault("block_device_mapping", f"delay:{SHOWN_AFTER * 2.5}", "after")
    await lab.host.build_and_run_server(CTX, build)
    await until(lambda: lab.network.made)
    lab.conductor.take(active(build))  # another host finished it: the next task_state is refused
    await lab.idle()
    assert lab.conductor.outcomes == []
    assert lab.traces() == NOTHING


async def test_a_finished_build_that_is_no_longer_wanted_is_removed(lab: Lab) -> None:
    await lab.start()
    lab.conductor.accepts = False
    outcome = await lab.launch(build_of())
    assert outcome.ok
    assert lab.traces() == NOTHING


async def test_a_repeated_build_message_is_ignored(lab: Lab) -> None:
    lab.wiring.event = ""
    await lab.start()
    build = lab.conductor.take(build_of())
    for _ in range(3):
        await lab.host.build_and_run_server(CTX, build)
    await until(lambda: lab.wiring.plugged)
    await lab.plugged(PORT)
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    assert [outcome.ok for outcome in lab.conductor.outcomes] == [True]


async def test_no_more_builds_at_once_than_allowed(tmp_path: Path) -> None:
    lab = Lab(tmp_path, max_concurrent_builds=2)
    lab.wiring.event = ""
    await lab.open()
    await lab.start()
    for number in range(1, 6):
        await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of(number)))
    await until(lambda: len(lab.wiring.plugged) == 2)
    await asyncio.sleep(0.02)
    assert len(lab.wiring.plugged) == 2
    async with asyncio.timeout(PATIENCE):
        while len(lab.conductor.outcomes) < 5:
            for number in range(1, 6):
                vifs = [p for p, port in lab.network.made.items() if port.device_id == server_id(number)]
                await lab.plugged(*vifs, server=server_id(number))
            await asyncio.sleep(0.02)
    assert all(outcome.ok for outcome in lab.conductor.outcomes)
    await lab.close()


@pytest.mark.parametrize("times", [1, 3])
async def test_the_end_is_reported_until_the_conductor_answers(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    await lab.start()
    pauses: list[float] = []
    assert lab.agent is not None
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0.001)

    monkeypatch.setattr(lab.clock, "sleep", quick)
    monkeypatch.setattr(lab.agent.core.clock, "sleep", quick)
    lab.conductor.away["build_ended"] = times
    outcome = await lab.launch(build_of())
    assert outcome.ok
    assert len(lab.conductor.outcomes) == 1
    waited = [pause for pause in pauses if pause not in (lab.options.heartbeat, SHOWN_AFTER)]
    assert len(waited) == times
    assert waited == sorted(waited)


# ---- await_network


async def test_the_networks_word_may_come_before_it_is_awaited(lab: Lab) -> None:
    lab.fault("start", "delay:0.05")  # the event arrives while the guest is being started
    await lab.start()
    assert (await lab.launch(build_of())).ok


async def test_a_word_of_the_network_that_was_lost_is_asked_for_again(lab: Lab) -> None:
    lab.wiring.lost = 2
    lab.options = msgspec.structs.replace(lab.options, plug_again=0.02)
    await lab.start()
    assert (await lab.launch(build_of())).ok
    assert lab.wiring.lost == 0


@pytest.mark.parametrize("step", ["networking", "plug"])
async def test_a_short_outage_costs_only_time(lab: Lab, step: str) -> None:
    lab.options = msgspec.structs.replace(lab.options, service_patience=30.0)
    lab.network.away, lab.wiring.away = (2, 0) if step == "networking" else (0, 2)
    lab.conductor.away = {"update_server": 2, "build_ended": 2}
    await lab.start()
    assert (await lab.launch(build_of())).ok
    assert (lab.network.away, lab.wiring.away, set(lab.conductor.away.values())) == (0, 0, {0})


@pytest.mark.parametrize(
    ("event", "fatal", "ok", "vif_active", "reason"),
    [
        ("completed", True, True, True, ""),
        ("failed", True, False, None, f"the network reported a failure for port {PORT}"),
        ("failed", False, False, None, f"the network reported a failure for port {PORT}"),
        ("", True, False, None, f"no network-vif-plugged within 0.05 s for port {PORT}"),
        ("", False, True, False, ""),
    ],
)
async def test_the_networks_event_comes_fails_or_is_missing(
    tmp_path: Path, event: str, fatal: bool, ok: bool, vif_active: bool | None, reason: str
) -> None:
    lab = Lab(tmp_path, vif_plugging_timeout=20.0 if event else 0.05, vif_plugging_is_fatal=fatal)
    lab.wiring.event = event
    await lab.open()
    await lab.start()
    outcome = await lab.launch(build_of())
    assert outcome.ok is ok
    if ok:
        assert [vif.active for vif in outcome.network_info] == [vif_active]
    else:
        assert outcome.fault is not None
        assert (outcome.fault.step, outcome.fault.reason) == ("await_network", reason)
        assert lab.traces() == NOTHING
    await lab.close()


async def test_events_of_others_and_repeated_ones_do_nothing(lab: Lab) -> None:
    lab.wiring.event = ""
    await lab.start()
    await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of()))
    await until(lambda: lab.wiring.plugged)
    await lab.plugged("another-port")
    await lab.plugged(PORT, server=server_id(9))
    await asyncio.sleep(0.02)
    assert lab.power() is PowerState.PAUSED  # not one packet before the filters are known to stand
    await lab.plugged(PORT, PORT)
    await until(lambda: lab.conductor.outcomes)
    await lab.plugged(PORT)
    assert lab.conductor.outcomes[0].ok


async def test_a_failing_plug_names_the_reason(lab: Lab) -> None:
    await lab.start()
    lab.wiring.fail = errors.KilonovaError("bridge kn-1: no such device")
    outcome = await lab.launch(build_of())
    assert outcome.fault is not None
    words = "plugging the ports into the host's network failed"
    assert (outcome.fault.step, outcome.fault.reason) == ("plug", words)
    assert "bridge kn-1: no such device" in (outcome.fault.details or "")
    assert lab.traces() == NOTHING


async def test_a_guest_that_ends_at_once_is_reported(tmp_path: Path) -> None:
    """The step does not wait for an event that has come before it."""
    lab = Lab(tmp_path, running_timeout=600.0)
    await lab.open()
    await lab.start()
    lab.fault("running", "delay:0.05")
    await lab.host.build_and_run_server(CTX, lab.conductor.take(build_of()))
    await until(lambda: lab.power() is PowerState.RUNNING)
    lab.hypervisor.become(HOST, server_id(), PowerState.CRASHED, "crashed")
    await until(lambda: lab.conductor.outcomes)
    await lab.idle()
    (outcome,) = lab.conductor.outcomes
    assert outcome.fault is not None
    assert outcome.fault.step == "running"
    assert lab.traces() == NOTHING
    await lab.close()


async def test_heartbeats_report_what_the_host_has(tmp_path: Path) -> None:
    lab = Lab(tmp_path, heartbeat=0.02, reserved_memory_mb=100)
    await lab.open()
    await lab.start(vcpus=3, memory_mb=1000, disk_gb=7)
    await until(lambda: len(lab.conductor.reports) >= 3)
    report = lab.conductor.reports[-1]
    assert (report.host, report.vcpus, report.memory_mb, report.disk_gb) == (HOST, 3, 1000, 7)
    assert report.reserved_memory_mb == 100
    assert len({r.node_uuid for r in lab.conductor.reports}) == 1
    assert isinstance(lab.options, AgentOptions)
    await lab.close()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_deletes_at_any_moment_of_a_slow_build_leave_nothing(lab: Lab, times: int) -> None:
    """Also several that come at once, and before the build's task has run at all."""
    await lab.start(delay={"*": 0.004})
    moments = [*range(24), *range(24, 400, 25)]  # turns of the event loop
    for number, turns in enumerate(moments, 1):
        build = lab.conductor.take(build_of(number))
        ref = models.ServerRef(build=build, request_id="req-9", action="delete")
        launching = asyncio.ensure_future(lab.host.build_and_run_server(CTX, build))
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns > 24:
            await asyncio.sleep(turns / 5000)
        await asyncio.gather(*(lab.host.run_action(CTX, ref) for _ in range(times)))
        await until(lambda number=number: server_id(number) in lab.conductor.deleted)
        await asyncio.gather(launching, return_exceptions=True)
    await lab.idle()
    assert lab.traces() == NOTHING


async def test_work_cancelled_in_the_queue_never_starts(lab: Lab) -> None:
    """A deletion that comes while another one waits for the build must end the build, too, and begin after it."""
    agent = await lab.start()
    order: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(0.02)
        finally:
            await asyncio.sleep(0)
            order.append(name)

    first = agent.manager.begin("s", lambda: work("first"))
    await asyncio.sleep(0)
    second = agent.manager.begin("s", lambda: work("second"))
    for task in agent.manager.busy["s"]:
        task.cancel()
    third = agent.manager.begin("s", lambda: work("third"))
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert order == ["first", "third"]
    assert agent.manager.busy == {}
