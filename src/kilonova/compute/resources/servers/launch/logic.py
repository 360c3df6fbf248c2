"""A launch, steps 3 to 6: validate, count, record and hand over. The last three are one transaction, shared by all launches
that come to it at one moment."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.quotas.counting import QuotaTracker
from kilonova.compute.resources.servers.launch.checks import LaunchChecks
from kilonova.compute.resources.servers.launch.devices import image_disk
from kilonova.compute.resources.servers.launch.hostnames import hostname_for
from kilonova.compute.resources.servers.launch.limits import check_items
from kilonova.compute.resources.servers.launch.request import Launched, LaunchRequest, Resolved
from kilonova.compute.resources.servers.launch.timeline import Timeline
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import actions, block_devices, records, request_specs, steps
from kilonova.compute.store import servers as store
from kilonova.core import errors as core_errors
from kilonova.core.batching import STUCK_AFTER, Batched
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Transaction, retried
from kilonova.core.faults import Faults


class Ready(msgspec.Struct):
    """A launch that was found valid; it gets its ids when it is counted."""

    ctx: RequestContext
    wanted: LaunchRequest
    resolved: Resolved
    timeline: Timeline
    ids: list[str] = []
    reservation_id: str = ""


class LaunchLogic:
    def __init__(
        self, database: Database, clock: Clock, options: ComputeOptions, checks: LaunchChecks, faults: Faults
    ) -> None:
        self.database, self.clock, self.options, self.checks, self.faults = database, clock, options, checks, faults
        self._batched = Batched(self._write_all, stuck_after=STUCK_AFTER)

    async def launch(self, ctx: RequestContext, wanted: LaunchRequest, times: tuple[dt.datetime, ...] = ()) -> Launched:
        """As many servers as asked and the quota leaves room for, recorded and handed to the conductor. `times` are when
        the request was received, authenticated and authorized."""
        timeline = Timeline(self.clock, times, self.faults)
        async with timeline.step("validate"):
            resolved = await self.checks.resolve(ctx, wanted)
        return await self._batched(Ready(ctx, wanted, resolved, timeline))

    @retried
    async def _write_all(self, asked: Sequence[Ready]) -> list[Launched | core_errors.KilonovaError]:
        """The result of each: a refusal concerns its own request alone."""
        ready = [msgspec.structs.replace(one, timeline=one.timeline.copy(), ids=[]) for one in asked]
        async with self.database.transaction() as tx:
            done = await self._count_all(tx, ready)
            if fitting := [one for one in ready if one.ids]:
                await self._record(tx, fitting)
                await self._hand_over(tx, fitting)
        return done

    async def _count_all(self, tx: Transaction, ready: Sequence[Ready]) -> list[Launched | core_errors.KilonovaError]:
        tracker = QuotaTracker(tx.connection, self.options.quotas)
        await tracker.enter({one.ctx.project_id or "" for one in ready})
        done: list[Launched | core_errors.KilonovaError] = []
        for one in ready:
            try:
                async with one.timeline.step("quota"):
                    count = await self._count(tracker, one)
            except core_errors.KilonovaError as error:
                done.append(error)
                continue
            one.ids, one.reservation_id = [self.clock.uuid() for _ in range(count)], self._reservation_id()
            done.append(Launched(ids=one.ids, reservation_id=one.reservation_id))
        return done

    async def _count(self, tracker: QuotaTracker, one: Ready) -> int:
        owner = (one.ctx.project_id or "", one.ctx.user_id)
        wanted, flavor = one.wanted, one.resolved.spec.flavor
        limits = await tracker.limits(*owner)
        check_items(wanted.metadata, wanted.personality, limits)
        each = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb}
        count = tracker.fits(limits, owner, each, least=wanted.least, most=wanted.most)
        if one.resolved.server_group_id is not None:
            await tracker.join(limits, one.ctx.user_id, one.resolved.server_group_id, count)
        tracker.take(owner, each, count)
        return count

    def _reservation_id(self) -> str:
        return "r-" + base64.b32encode(self.clock.random_bytes(5)).decode().lower()

    async def _record(self, tx: Transaction, ready: Sequence[Ready]) -> None:
        moment, connection = self.clock.row_time(), tx.connection
        async with AsyncExitStack() as all_steps:
            for one in ready:
                await all_steps.enter_async_context(one.timeline.step("record"))
            await store.add(connection, [row for one in ready for row in _servers(one, moment)])
            await request_specs.add(connection, {uuid: one.resolved.spec for one in ready for uuid in one.ids})
            await block_devices.add(connection, [row for one in ready for row in _devices(one, self.clock)])
            begun = [_action(one.ctx, uuid, moment) for one in ready for uuid in one.ids]
            await actions.begin(connection, begun)

    async def _hand_over(self, tx: Transaction, ready: Sequence[Ready]) -> None:
        records = []
        for one in ready:
            ids, request_id = one.ids, one.ctx.request_id
            # the token is not passed on: the launch continues after it expired, with the components' own accounts
            sender = msgspec.structs.replace(one.ctx, token=None)
            await tx.outbox(ConductorAPI).build_servers(sender, ids, request_id)
            one.timeline.handed_over()
            records += [step for uuid in ids for step in one.timeline.records(uuid, request_id)]
        await steps.add(tx.connection, records)


def _servers(one: Ready, moment: dt.datetime) -> list[dict[str, Any]]:
    wanted = one.wanted
    shared = _shared(one.ctx, wanted, one.resolved) | {"reservation_id": one.reservation_id, "created_at": moment}
    servers = []
    for index, uuid in enumerate(one.ids):
        name = f"{wanted.name}-{index + 1}"[-255:] if len(one.ids) > 1 else wanted.name
        own = {"uuid": uuid, "name": name, "hostname": wanted.hostname or hostname_for(name, uuid)}
        servers.append(shared | own | {"launch_index": index})
    return servers


def _devices(one: Ready, clock: Clock) -> list[dict[str, Any]]:
    devices = [msgspec.structs.asdict(d) for d in one.wanted.block_devices or [image_disk(one.wanted.image_id)]]
    return [_row(uuid, device, clock) for uuid in one.ids for device in devices]


def _row(server_uuid: str, device: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """A volume that is to be made has its id from the beginning, so that it is made once."""
    row = device | {"server_uuid": server_uuid}
    if device["destination_type"] == "volume":
        row |= {"uuid": clock.uuid(), "volume_id": device["volume_id"] or clock.uuid()}
    return row


def _action(ctx: RequestContext, uuid: str, moment: dt.datetime) -> dict[str, Any]:
    return {
        "server_uuid": uuid, "request_id": ctx.request_id, "action": "create", "user_id": ctx.user_id,
        "project_id": ctx.project_id, "started_at": moment,
    }  # fmt: skip


def _shared(ctx: RequestContext, wanted: LaunchRequest, resolved: Resolved) -> dict[str, Any]:
    """The columns that all servers of a request have in common."""
    flavor = resolved.spec.flavor
    image_id = None if resolved.spec.volume_backed else wanted.image_id or None
    same = ("description", "metadata", "key_name", "config_drive", "user_data", "tags", "access_ip_v4", "access_ip_v6",
            "trusted_image_certificates", "disk_config")  # fmt: skip
    return {name: getattr(wanted, name) for name in same} | {
        "project_id": ctx.project_id, "user_id": ctx.user_id, "image_id": image_id,
        "flavor": records.document(flavor), "vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb,
        "vm_state": Vm.BUILDING.value, "task_state": Task.SCHEDULING.value, "power_state": 0, "progress": 0,
        "availability_zone": resolved.spec.availability_zone, "network_info": [],
        "security_groups": resolved.security_group_names, "server_group_id": resolved.server_group_id,
    }  # fmt: skip
