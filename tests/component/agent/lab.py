"""One compute host on a real bus with a fake hypervisor; conductor and network are stand-ins that remember everything."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.agent.journal import Journal
from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.agent.service import ComputeAgent
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.port_ids import port_id_for
from kilonova.compute.states import FOLLOWS, Vm
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.fake import FakeDriver, FakeGuest, FakeHypervisor, FakeOptions
from kilonova.core import errors
from kilonova.core.bus import MemoryBus
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.faults import FaultRule, Faults
from kilonova.network.agent.dataplane import Leftover
from kilonova.network.agent.interface import NetworkAgentAPI
from kilonova.network.client import NetworkRecord, PortRecord, PortRequest, SubnetRecord
from tests.eventually import until
from tests.support import make_core

HOST = "node-1"
CTX = RequestContext(request_id="req-1")
NETWORK = "aaaaaaaa-0000-4000-8000-000000000001"
SUBNET = "aaaaaaaa-0000-4000-8000-000000000002"
STEPS = (
    "accept", "networking", "block_device_mapping", "image", "personalise", "define", "plug", "start", "await_network",
    "resume", "running",
)  # fmt: skip
CREATED = (*STEPS, "active")
POWERED_ON = ("refresh_network", "destroy", *STEPS[3:])


def server_id(number: int = 1) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


PORT = port_id_for(server_id(), 0)


def volume(number: int = 1, **more: Any) -> models.ConnectedVolume:
    """One of the fake back end."""
    volume_id, device = (f"{head}-0000-4000-8000-{number:012d}" for head in ("cccccccc", "dddddddd"))
    connection = {"driver_volume_type": "fake", "data": {"volume_id": volume_id}}
    fields = {"device": device, "volume_id": volume_id, "connection": connection, "name": "vdb", "size": 1} | more
    return models.ConnectedVolume(**fields)


def build_of(number: int = 1, *, networks: int = 1, action: str = "create", **server: Any) -> models.ServerBuild:
    """A server to launch with ports on one network."""
    facts: dict[str, Any] = {
        "uuid": server_id(number), "number": number, "name": f"vm-{number}", "hostname": f"vm-{number}",
        "project_id": "p", "user_id": "u", "vm_state": "building", "host": HOST,
    }  # fmt: skip
    return models.ServerBuild(
        server=models.Server(**facts | server),
        spec=models.RequestSpec(
            flavor=models.Flavor(id="1", name="small", vcpus=1, memory_mb=512, root_gb=1),
            image=models.Image(id="image-1", disk_format="qcow2", size=100),
            networks=[models.NetworkRequest(network_id=NETWORK) for _ in range(networks)],
        ),
        request_id="req-1",
        action=action,
    )


class Conductor(ConductorAPI):
    """Servers as rows with vm_state, task_state and host; `away` makes the next calls fail so often."""

    def __init__(self) -> None:
        self.rows: dict[str, models.ServerBuild] = {}
        self.tasks: list[str] = []
        self.outcomes: list[models.BuildOutcome] = []
        self.ended: list[tuple[str, models.ServerChange, models.Fault | None, list[models.StepRecord]]] = []
        self.deleted: list[str] = []
        self.departed: dict[str, models.Departed] = {}
        self.powers: list[tuple[str, int]] = []
        self.reports: list[models.HostReport] = []
        self.away: dict[str, int] = {}
        self.accepts = True
        self.interfaces: dict[str, list[models.Vif]] = {}  # what the network service says of servers' ports by now
        self.asked: list[str] = []
        self.volumes: dict[str, list[models.ConnectedVolume] | None] = {}  # None: they are being made
        self.connected: set[tuple[str, str]] = set()  # host, volume
        self.names: dict[str, str] = {}

    def _stumble(self, method: str) -> None:
        if self.away.get(method, 0) > 0:
            self.away[method] -= 1
            raise errors.ServiceUnavailable(reason="the conductor starts")

    def take(self, build: models.ServerBuild) -> models.ServerBuild:
        self.rows[build.server.uuid] = build
        return build

    async def update_server(self, ctx: RequestContext, server_id: str, change: models.ServerChange) -> bool:
        self._stumble("update_server")
        row = self.rows.get(server_id)
        if row is None or row.server.host != change.expect_host:
            return False
        if change.expect_vm_states and row.server.vm_state not in change.expect_vm_states:
            return False
        if change.expect_task_states and row.server.task_state not in change.expect_task_states:
            return False
        if isinstance(change.task_state, str):
            self.tasks.append(change.task_state)
        return True

    async def build_ended(self, ctx: RequestContext, outcome: models.BuildOutcome) -> bool:
        self._stumble("build_ended")
        self.outcomes.append(outcome)
        row = self.rows.get(outcome.server_uuid)
        if row is not None and outcome.ok and self.accepts:
            active = msgspec.structs.replace(row.server, vm_state="active", task_state=None)
            self.rows[outcome.server_uuid] = msgspec.structs.replace(row, server=active, action="")
        return self.accepts

    async def action_ended(
        self, ctx: RequestContext, server_id: str, request_id: str, action: str, change: models.ServerChange,
        fault: models.Fault | None, steps: list[models.StepRecord],
    ) -> bool:  # fmt: skip
        self._stumble("action_ended")
        self.ended.append((action, change, fault, steps))
        self.busy_with(server_id, None)
        return True

    def busy_with(self, server_id: str, task_state: str | None) -> None:
        row = self.rows.get(server_id)
        if row is not None:
            server = msgspec.structs.replace(row.server, task_state=task_state)
            self.rows[server_id] = msgspec.structs.replace(row, server=server)

    async def server_deleted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        self._stumble("server_deleted")
        self.deleted.append(server_id)
        self.rows.pop(server_id, None)

    async def deleted_servers(self, ctx: RequestContext, server_ids: list[str]) -> list[str]:
        self._stumble("deleted_servers")
        return [uuid for uuid in server_ids if uuid in self.deleted]

    async def departed_servers(self, ctx: RequestContext, host: str) -> list[models.Departed]:
        self._stumble("departed_servers")
        return list(self.departed.values())

    async def departure_done(self, ctx: RequestContext, migration: str) -> None:
        self._stumble("departure_done")
        del self.departed[migration]

    async def report_host(self, ctx: RequestContext, report: models.HostReport) -> None:
        self._stumble("report_host")
        self.reports.append(report)

    async def servers_on_host(self, ctx: RequestContext, host: str) -> list[models.ServerBuild]:
        self._stumble("servers_on_host")
        return [row for row in self.rows.values() if row.server.host == host]

    async def network_info(self, ctx: RequestContext, host: str, server_id: str) -> list[models.Vif] | None:
        self._stumble("network_info")
        self.asked.append(server_id)
        return self.interfaces.get(server_id)

    async def connect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, connector: dict[str, str], device: str | None
    ) -> list[models.ConnectedVolume] | None:
        self._stumble("connect_volumes")
        held = self.volumes.get(server_id, [])
        if held is None:
            self.volumes[server_id] = [volume()]
            return None
        found = [one for one in held if device in (None, one.device)]
        self.connected |= {(connector["host"], one.volume_id) for one in found}
        return found

    async def disconnect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, device: str | None, forget: bool
    ) -> None:
        self._stumble("disconnect_volumes")
        held = self.volumes.get(server_id) or []
        found = [one for one in held if device in (None, one.device)]
        self.connected -= {(host, one.volume_id) for one in found}
        if forget:
            self.volumes[server_id] = [one for one in held if one not in found]

    async def name_volume(self, ctx: RequestContext, host: str, server_id: str, device: str, name: str) -> None:
        self._stumble("name_volume")
        self.names[device] = name

    async def renew_grant(self, ctx: RequestContext, host: str, server_id: str, grant: str) -> str:
        self._stumble("renew_grant")
        return f"{grant}+"

    async def power_state_seen(self, ctx: RequestContext, host: str, server_id: str, power_state: int) -> None:
        self._stumble("power_state_seen")
        self.powers.append((server_id, power_state))
        row = self.rows[server_id]
        if row.server.task_state is not None:
            return
        server = msgspec.structs.replace(row.server, power_state=power_state)
        if power_state in FOLLOWS and server.vm_state in FOLLOWS[power_state][0]:
            server = msgspec.structs.replace(server, vm_state=str(FOLLOWS[power_state][1]))
        self.rows[server_id] = msgspec.structs.replace(row, server=server)


class Network:
    """The network service's client, with ports in a dict. `fail` names a method that fails; `away` makes the next calls fail
    so often."""

    def __init__(self) -> None:
        self.made: dict[str, PortRecord] = {}
        self.fail: dict[str, Exception] = {}
        self.away = 0
        self.grants: list[str] = []
        self.binding: dict[str, Any] = {}  # what new ports say of theirs, where it is not the usual

    def granted(self, grant: str) -> Network:
        self.grants.append(grant)
        return self

    def _strike(self, method: str) -> None:
        if self.away:
            self.away -= 1
            raise errors.ServiceUnavailable(reason="the network service starts")
        if method in self.fail:
            raise self.fail[method]

    def add(self, port_id: str, **more: Any) -> PortRecord:
        values = {"id": port_id, "network_id": NETWORK, "mac_address": "fa:16:3e:00:00:01", "fixed_ips": [
            {"subnet_id": SUBNET, "ip_address": "10.0.0.5"}]}  # fmt: skip
        self.made[port_id] = msgspec.convert(_port(values | self.binding | more), PortRecord)
        return self.made[port_id]

    async def create_ports(self, requests: list[PortRequest]) -> list[PortRecord]:
        self._strike("create_ports")
        return [
            self.made.get(str(r.id))
            or self.add(str(r.id), device_id=r.device_id, device_owner=r.device_owner, **{"binding:host_id": r.host_id})
            for r in requests
        ]

    async def port(self, port_id: str) -> PortRecord:
        if port_id not in self.made:
            raise errors.NotFound(f"Port {port_id} could not be found.")
        return self.made[port_id]

    async def ports(self, id: list[str]) -> list[PortRecord]:
        return [self.made[i] for i in id if i in self.made]

    async def bind_port(self, port_id: str, host: str, *, device_id: str, device_owner: str, **more: str) -> PortRecord:
        self.made[port_id] = msgspec.structs.replace(
            self.made[port_id], device_id=device_id, device_owner=device_owner, host_id=host, **more
        )
        return self.made[port_id]

    async def unbind_port(self, port_id: str) -> None:
        self.made[port_id] = msgspec.structs.replace(
            self.made[port_id], device_id="", device_owner="", host_id="", dns_name=""
        )

    async def delete_ports(self, ids: list[str]) -> None:
        self._strike("delete_ports")
        for port_id in ids:
            self.made.pop(port_id, None)

    async def networks(self, id: list[str]) -> list[NetworkRecord]:
        return [msgspec.convert(_network({"id": i, "name": "net"}), NetworkRecord) for i in id]

    async def subnets(self, network_id: list[str]) -> list[SubnetRecord]:
        return [msgspec.convert(_subnet({"id": SUBNET, "network_id": network_id[0]}), SubnetRecord)]


class Wiring(NetworkAgentAPI):
    """The host's network agent: plugging sends compute the event `event` for each port, unless that is empty; the first ones may
    be `lost`. `away`: how many of the next calls fail."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.event, self.lost, self.away = lab, "completed", 0, 0
        self.plugged: set[str] = set()
        self.fail: Exception | None = None

    def _stumble(self) -> None:
        if self.away:
            self.away -= 1
            raise errors.NoReceiver(reason="the network agent starts")

    async def plug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        if self.fail is not None:
            raise self.fail
        self._stumble()
        self.plugged |= set(port_ids)
        if self.lost:
            self.lost -= 1
        elif self.event:
            await self.lab.plugged(*port_ids, status=self.event)

    async def unplug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        self._stumble()
        self.plugged -= set(port_ids)

    async def changed(self, ctx: RequestContext, port_ids: list[str]) -> None:
        return None

    async def leftovers(self, ctx: RequestContext) -> list[Leftover]:
        return []


class Image:
    """The image service's client. `held`: id → status of images that wait for their data, or have them; uploads fail with `fail`,
    and the next `breaks` of them break off, after `takes` seconds."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.data: dict[str, bytes] = {}
        self.fail: Exception | None = None
        self.breaks, self.takes = 0, 0.0

    def granted(self, grant: str) -> Image:
        return self

    async def get(self, ctx: RequestContext | None, image_id: str) -> Any:
        status = self.held[image_id]
        if status == "saving":
            self.held[image_id] = "queued"  # seen at last
        return SimpleNamespace(status=status)

    async def upload(self, ctx: RequestContext | None, image_id: str, data: AsyncIterator[bytes], *, size: int) -> None:
        if self.fail is not None:
            raise self.fail
        self.held[image_id] = "saving"
        if self.breaks:
            self.breaks -= 1
            await asyncio.sleep(self.takes)
            raise errors.ServiceUnavailable(reason="the connection broke")
        self.data[image_id] = b"".join([piece async for piece in data])
        assert len(self.data[image_id]) == size
        self.held[image_id] = "active"

    async def download(self, image_id: str) -> Any:
        raise AssertionError("the fake disk store downloads nothing")


class Lab:
    """`await lab.start()` is a new agent process: what an earlier one had in memory is gone, files and guests are not."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path, self.clock, self.bus = path, Clock(), MemoryBus()
        self.options = AgentOptions(
            **{"vif_plugging_timeout": 20.0, "running_timeout": 20.0, "service_patience": 0.5, **options}
        )
        self.conductor, self.network, self.wiring = Conductor(), Network(), Wiring(self)
        self.image = Image()
        self.hypervisor = FakeHypervisor(clock=self.clock)
        self.faults = Faults()
        self.agent: ComputeAgent | None = None
        self.host = self.bus.client(ComputeAPI, host=HOST)

    async def open(self) -> None:
        await self.bus.serve(ConductorAPI, self.conductor, host="c")
        await self.bus.serve(NetworkAgentAPI, self.wiring, host=HOST)

    async def start(self, *, serve: bool = True, driver: FakeDriver | None = None, **fake: Any) -> ComputeAgent:
        core, _, _ = make_core(self.path, bus=self.bus)
        core = dataclasses.replace(core, faults=self.faults)
        self.driver = driver or FakeDriver(HOST, self.hypervisor, FakeOptions(**fake))
        self.journal = Journal(self.path / "journal.jsonl", self.clock)
        self.agent = agent = ComputeAgent(core, HOST, self.driver, self.journal, self.options)
        clients: dict[str, Any] = {"network": self.network, "image": self.image}
        agent.manager.host = dataclasses.replace(agent.manager.host, **clients)
        if serve:
            await agent.start()
        return agent

    async def crash(self) -> None:
        """The process dies: its tasks are gone, its journal's file is as it stands."""
        assert self.agent is not None
        manager = self.agent.manager
        receivers = self.bus._receivers.get("compute", {})
        receiver = receivers.pop(HOST, None)
        tasks = [*(receiver.running if receiver else ()), *self.agent._tasks, *manager._tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.journal.close()
        self.agent = None

    async def close(self) -> None:
        if self.agent is not None:
            await self.crash()
        await self.bus.close()

    # what tests ask and do

    def fault(self, step: str, do: str, when: str = "before", **more: Any) -> None:
        self.faults.rules.append(FaultRule(step=step, when=when, do=do, **more))

    async def plugged(self, *ports: str, status: str = "completed", server: str = "") -> None:
        events = [
            models.ExternalEvent(name="network-vif-plugged", server_uuid=server or server_id(), status=status, tag=port)
            for port in ports
        ]
        await self.host.external_events(CTX, events)

    async def launch(self, build: models.ServerBuild) -> models.BuildOutcome:
        """A build from message to report."""
        self.conductor.take(build)
        before = len(self.conductor.outcomes)
        await self.host.build_and_run_server(CTX, build)
        await until(lambda: len(self.conductor.outcomes) > before)
        await self.idle()
        return self.conductor.outcomes[-1]

    async def act(
        self, action: str, number: int = 1, arguments: dict[str, str] | None = None
    ) -> tuple[str, models.ServerChange, models.Fault | None, list[str]]:
        row = msgspec.structs.replace(self.row(number), action=action, arguments=arguments or {}, request_id="req-2")
        ref = models.ServerRef(build=row, request_id="req-2", action=action)
        self.conductor.busy_with(row.server.uuid, ACTIONS[action].task)
        before = len(self.conductor.ended)
        await self.host.run_action(CTX, ref)
        await until(lambda: len(self.conductor.ended) > before)
        done, change, fault, steps = self.conductor.ended[-1]
        return done, change, fault, [s.step for s in steps]

    def row(self, number: int = 1) -> models.ServerBuild:
        """The conductor's row with the vifs that the launch reported."""
        row = self.conductor.rows[server_id(number)]
        known = [o.network_info for o in self.conductor.outcomes if o.server_uuid == row.server.uuid and o.ok]
        return msgspec.structs.replace(
            row, server=msgspec.structs.replace(row.server, network_info=known[-1] if known else [])
        )

    async def terminate(self, number: int = 1) -> None:
        ref = models.ServerRef(build=self.conductor.rows[server_id(number)], request_id="req-9", action="delete")
        await self.host.run_action(CTX, ref)
        await until(lambda: server_id(number) in self.conductor.deleted)

    async def idle(self) -> None:
        assert self.agent is not None
        agent = self.agent
        await until(lambda: not agent.manager.busy)

    def power(self, number: int = 1) -> PowerState:
        guest = self.hypervisor.guests(HOST).get(server_id(number))
        return PowerState(guest.state) if guest else PowerState.NOSTATE

    def put_guest(self, state: PowerState, number: int = 1) -> None:
        self.hypervisor.put(HOST, server_id(number), FakeGuest(f"instance-{number}", f"vm-{number}", int(state)))
        self.hypervisor.set_disks(HOST, server_id(number), True)

    def traces(self) -> dict[str, Any]:
        """What is on the host and in the network; all empty when nothing is left over."""
        return {
            "guests": set(self.hypervisor.guests(HOST)), "disks": self.hypervisor.disks(HOST), "ports": set(self.network.made),
            "plugged": set(self.wiring.plugged), "journal": set(self.journal.unfinished(HOST)),
        }  # fmt: skip


NOTHING: dict[str, set[str]] = {"guests": set(), "disks": set(), "ports": set(), "plugged": set(), "journal": set()}


RESOURCE: dict[str, Any] = {
    "name": "", "description": "", "project_id": "p", "tenant_id": "p", "created_at": "", "updated_at": "",
    "revision_number": 1, "admin_state_up": True, "status": "ACTIVE",
}  # fmt: skip


def _port(values: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {
        "device_id": "", "device_owner": "", "security_groups": [], "allowed_address_pairs": [], "qos_policy_id": None,
        "qos_network_policy_id": None,
    }  # fmt: skip
    details = {"tap_name": f"tap{values['id'][:11]}", "bridge_name": f"brq{values['network_id'][:11]}"}
    binding = {"binding:host_id": "", "binding:vif_type": "bridge", "binding:vif_details": details}
    return RESOURCE | more | {"port_security_enabled": True} | binding | values


def _network(values: dict[str, Any]) -> dict[str, Any]:
    more = {
        "shared": False, "router:external": False, "is_default": False, "port_security_enabled": True, "qos_policy_id": None,
    }  # fmt: skip
    return RESOURCE | more | {"mtu": 1450, "subnets": [SUBNET]} | values


def _subnet(values: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {"allocation_pools": [], "dns_nameservers": [], "host_routes": []}
    return RESOURCE | lists | {"ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": None, "enable_dhcp": True} | values


def active(build: models.ServerBuild, **more: Any) -> models.ServerBuild:
    """The same server as a row that is ACTIVE."""
    facts = {"vm_state": Vm.ACTIVE.value, "task_state": None, "power_state": 1} | more
    return msgspec.structs.replace(build, server=msgspec.structs.replace(build.server, **facts), action="")
