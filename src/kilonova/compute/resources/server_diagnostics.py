"""What a server's guest uses, as its hypervisor counts it."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.diagnostics import DiskCounts, GuestDiagnostics, NicCounts
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.server_actions.errors import HostUnreachable, NotReady
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.store.servers import ServerRow
from kilonova.core import errors
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Version, View

RULE = f"{R}:os-server-diagnostics"
STANDARD = Version(2, 48)
"""From here on the answer is the same for all hypervisors."""
KIB_PER_MIB = 1024


class MemoryDetails(View, kw_only=True):
    """In MiB."""

    maximum: int
    used: int


class CpuDetails(View, kw_only=True):
    """`time` in ns."""

    id: int
    time: int
    utilisation: int | None = None


class DiskDetails(View, kw_only=True):
    read_bytes: int
    read_requests: int
    write_bytes: int
    write_requests: int
    errors_count: int


class NicDetails(View, kw_only=True):
    mac_address: str
    rx_octets: int | None
    rx_errors: int | None
    rx_drop: int | None
    rx_packets: int | None
    rx_rate: int | None = None
    tx_octets: int | None
    tx_errors: int | None
    tx_drop: int | None
    tx_packets: int | None
    tx_rate: int | None = None


class Diagnostics(View, kw_only=True):
    """`uptime` in seconds since the launch."""

    state: str
    driver: str
    hypervisor: str
    hypervisor_os: str
    uptime: int | None
    config_drive: bool
    num_cpus: int
    num_nics: int
    num_disks: int
    disk_details: list[DiskDetails]
    cpu_details: list[CpuDetails]
    nic_details: list[NicDetails]
    memory_details: MemoryDetails


class ServerDiagnostics:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.servers = deps, ServerLogic(deps.database, deps.clock, deps.options)

    async def show(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        if row.host is None:
            raise NotReady(server_id=server_id)
        agent = self.deps.core.bus.client(ComputeAPI, host=row.host)
        try:
            found = await agent.diagnostics(call.ctx, row.uuid)
        except errors.BusError:
            raise HostUnreachable(server_id=server_id) from None
        if call.version is not None and call.version < STANDARD:
            return Reply(_flat(found))
        return Reply(self._view(row, found))

    def _view(self, row: ServerRow, found: GuestDiagnostics) -> Diagnostics:
        launched, now = row.launched_at, self.deps.clock.row_time()
        return Diagnostics(
            state="running", driver=found.driver, hypervisor=found.hypervisor, hypervisor_os="linux",
            uptime=int((now - launched).total_seconds()) if launched is not None else None,
            config_drive=bool(row.config_drive), num_cpus=len(found.cpu_times), num_nics=len(found.nics),
            num_disks=len(found.disks), disk_details=[_disk(disk) for disk in found.disks],
            cpu_details=[CpuDetails(id=number, time=time) for number, time in enumerate(found.cpu_times)],
            nic_details=[_nic(nic) for nic in found.nics],
            memory_details=MemoryDetails(
                maximum=found.memory_maximum // KIB_PER_MIB, used=found.memory_used // KIB_PER_MIB
            ),
        )  # fmt: skip


def _disk(disk: DiskCounts) -> DiskDetails:
    return DiskDetails(
        read_bytes=disk.read_bytes, read_requests=disk.read_requests, write_bytes=disk.write_bytes,
        write_requests=disk.write_requests, errors_count=disk.errors,
    )  # fmt: skip


def _nic(nic: NicCounts) -> NicDetails:
    counts = msgspec.structs.asdict(nic)
    del counts["device"]
    return NicDetails(**counts)


def _flat(found: GuestDiagnostics) -> dict[str, Any]:
    """The answer of old, with a key for each number; memory in KiB."""
    numbers: dict[str, Any] = {f"cpu{n}_time": time for n, time in enumerate(found.cpu_times)}
    for disk in found.disks:
        counts = {
            "read_req": disk.read_requests, "read": disk.read_bytes, "write_req": disk.write_requests,
            "write": disk.write_bytes, "errors": disk.errors,
        }  # fmt: skip
        numbers |= {f"{disk.device}_{name}": count for name, count in counts.items()}
    for nic in found.nics:
        sent = {
            "rx": nic.rx_octets, "rx_packets": nic.rx_packets, "rx_errors": nic.rx_errors, "rx_drop": nic.rx_drop,
            "tx": nic.tx_octets, "tx_packets": nic.tx_packets, "tx_errors": nic.tx_errors, "tx_drop": nic.tx_drop,
        }  # fmt: skip
        numbers |= {f"{nic.device}_{name}": count for name, count in sent.items() if count is not None}
    memory = {f"memory-{name}": value for name, value in found.memory.items()}
    return numbers | {"memory": found.memory_maximum} | memory


def routes(deps: Deps) -> list[Route]:
    return below_server(
        deps,
        Route(
            "GET", SERVER + "/diagnostics", ServerDiagnostics(deps).show, RULE, reply=dict[str, Any] | Diagnostics,
            summary="Show what a server's running guest uses, as its hypervisor counts it.",
        ),
    )  # fmt: skip


SERVER_DIAGNOSTICS = Resource(routes, {RULE: ADMIN})
