"""A launch, steps 3 to 6: validate, count, record and hand over. The last three are one transaction."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import msgspec

from kilonova.compute import errors
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.logic.hostnames import hostname_for
from kilonova.compute.logic.launch_checks import LaunchChecks
from kilonova.compute.logic.launch_request import BlockDevice, Launched, LaunchRequest, Resolved
from kilonova.compute.logic.quotas import check_servers, limits_of
from kilonova.compute.logic.timeline import Timeline
from kilonova.compute.options import ComputeOptions
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import actions, block_devices, request_specs, rows, steps
from kilonova.compute.store import servers as store
from kilonova.compute.times import now
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Transaction, retried
from kilonova.core.faults import Faults


class LaunchLogic:
    def __init__(
        self, database: Database, clock: Clock, options: ComputeOptions, checks: LaunchChecks, faults: Faults
    ) -> None:
        self.database, self.clock, self.options, self.checks, self.faults = database, clock, options, checks, faults

    async def launch(self, ctx: RequestContext, wanted: LaunchRequest, times: tuple[dt.datetime, ...] = ()) -> Launched:
        """As many servers as asked and the quota leaves room for, recorded and handed to the conductor. `times` are when
        the request was received, authenticated and authorized."""
        timeline = Timeline(self.clock, times, self.faults)
        async with timeline.step("validate"):
            resolved = await self.checks.resolve(ctx, wanted)
        return await self._write(ctx, wanted, resolved, timeline)

    @retried
    async def _write(
        self, ctx: RequestContext, wanted: LaunchRequest, resolved: Resolved, so_far: Timeline
    ) -> Launched:
        timeline = so_far.copy()
        async with self.database.transaction() as tx:
            async with timeline.step("quota"):
                count = await self._count(tx, ctx, wanted, resolved)
            ids = [self.clock.uuid() for _ in range(count)]
            reservation_id = self._reservation_id()
            async with timeline.step("record"):
                await self._record(tx, ctx, wanted, resolved, ids, reservation_id)
            # the token stays here: the launch goes on after it expired, on the components' own accounts
            sender = msgspec.structs.replace(ctx, token=None)
            await tx.outbox(ConductorAPI).build_servers(sender, ids, ctx.request_id)
            timeline.handed_over()
            await steps.add(tx.connection, [step for uuid in ids for step in timeline.records(uuid, ctx.request_id)])
        return Launched(ids=ids, reservation_id=reservation_id)

    async def _count(self, tx: Transaction, ctx: RequestContext, wanted: LaunchRequest, resolved: Resolved) -> int:
        project, flavor = ctx.project_id or "", resolved.spec.flavor
        limits = await limits_of(tx.connection, self.options.quotas, project, ctx.user_id)
        if 0 <= limits["metadata_items"] < len(wanted.metadata):
            raise errors.TooMany(reason=f"Maximum number of metadata items exceeds {limits['metadata_items']}")
        self._check_files(wanted, limits)
        count = await check_servers(
            tx.connection, limits, project,
            least=wanted.least, most=wanted.most, vcpus=flavor.vcpus, memory_mb=flavor.memory_mb,
        )  # fmt: skip
        if resolved.server_group_id is not None and limits["server_group_members"] >= 0:
            members = await store.group_members(tx.connection, [resolved.server_group_id])
            if len(members.get(resolved.server_group_id, [])) + count > limits["server_group_members"]:
                raise errors.ServerGroupMembersQuota
        return count

    def _check_files(self, wanted: LaunchRequest, limits: dict[str, int]) -> None:
        if 0 <= limits["injected_files"] < len(wanted.personality):
            raise errors.TooMany(reason="Personality file limit exceeded")
        path, content = limits["injected_file_path_bytes"], limits["injected_file_content_bytes"]
        for file in wanted.personality:
            if 0 <= path < len(file.path.encode()):
                raise errors.TooMany(reason=f"Personality file path exceeds maximum {path}")
            if 0 <= content < len(file.contents):
                raise errors.TooMany(reason=f"Personality file content exceeds maximum {content}")

    def _reservation_id(self) -> str:
        return "r-" + base64.b32encode(self.clock.random_bytes(5)).decode().lower()

    async def _record(
        self, tx: Transaction, ctx: RequestContext, wanted: LaunchRequest, resolved: Resolved, ids: list[str],
        reservation_id: str,
    ) -> None:  # fmt: skip
        moment = now(self.clock)
        shared = _shared(ctx, wanted, resolved) | {"reservation_id": reservation_id, "created_at": moment}
        many = len(ids) > 1
        servers = []
        for index, uuid in enumerate(ids):
            name = f"{wanted.name}-{index + 1}"[-255:] if many else wanted.name
            own = {"uuid": uuid, "name": name, "hostname": wanted.hostname or hostname_for(name, uuid)}
            servers.append(shared | own | {"launch_index": index})
        await store.add(tx.connection, servers)
        await request_specs.add(tx.connection, dict.fromkeys(ids, resolved.spec))
        devices = wanted.block_devices or [_image_disk(wanted.image_id)]
        await block_devices.add(
            tx.connection,
            [{"server_uuid": uuid} | msgspec.structs.asdict(device) for uuid in ids for device in devices],
        )
        await actions.begin(tx.connection, [_action(ctx, uuid, moment) for uuid in ids])


def _image_disk(image_id: str) -> BlockDevice:
    return BlockDevice(source_type="image", destination_type="local", image_id=image_id, boot_index=0)


def _action(ctx: RequestContext, uuid: str, moment: dt.datetime) -> dict[str, Any]:
    return {
        "server_uuid": uuid, "request_id": ctx.request_id, "action": "create", "user_id": ctx.user_id,
        "project_id": ctx.project_id, "started_at": moment,
    }  # fmt: skip


def _shared(ctx: RequestContext, wanted: LaunchRequest, resolved: Resolved) -> dict[str, Any]:
    """The columns that all servers of a request have in common."""
    flavor = resolved.spec.flavor
    same = ("description", "metadata", "key_name", "config_drive", "user_data", "tags", "access_ip_v4", "access_ip_v6",
            "trusted_image_certificates", "disk_config")  # fmt: skip
    return {name: getattr(wanted, name) for name in same} | {
        "project_id": ctx.project_id, "user_id": ctx.user_id, "image_id": wanted.image_id or None,
        "flavor": rows.document(flavor), "vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb,
        "vm_state": Vm.BUILDING.value, "task_state": Task.SCHEDULING.value, "power_state": 0, "progress": 0,
        "availability_zone": resolved.spec.availability_zone, "network_info": [],
        "security_groups": resolved.security_group_names, "server_group_id": resolved.server_group_id,
    }  # fmt: skip
