"""How attempts at a launch end: ACTIVE, another host, or ERROR with every host's reason. Each is one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps, finished_spec, logger, own_steps
from kilonova.compute.conductor.images import Images
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.launches import ACTIONS, launch_of
from kilonova.compute.models import BuildOutcome, RequestSpec, StepRecord
from kilonova.compute.payloads import Failure
from kilonova.compute.states import BUILD_TASKS, UNSHELVE_TASKS, Vm
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs, steps
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.core.batching import Batched
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction, retried


class BuildResults:
    def __init__(self, deps: Deps, images: Images) -> None:
        self.deps, self.images = deps, images
        self._succeeded = Batched(self._all_succeeded)

    async def ended(self, ctx: RequestContext, outcome: BuildOutcome) -> bool:
        """False when the server is no longer this host's to build: deleted, moved, given up."""
        return await (self._succeeded if outcome.ok else self._attempt_failed)((ctx, outcome))

    @retried
    async def _all_succeeded(self, ended: Sequence[tuple[RequestContext, BuildOutcome]]) -> list[bool]:
        """One transaction and a handful of statements for all that came up at once."""
        now, answers, up, specs = self.deps.now(), [], {}, {}
        async with self.deps.database.transaction() as tx:
            rows = await store.get_many(tx.connection, {outcome.server_uuid for _, outcome in ended}, lock=True)
            await steps.add(tx.connection, [s for ctx, o in ended for s in _steps(ctx, rows.get(o.server_uuid), o)])
            for ctx, outcome in ended:
                row, uuid = rows.get(outcome.server_uuid), outcome.server_uuid
                answer = _answer(row, outcome)
                if row is not None and answer is None and uuid not in up:
                    spec = request_specs.of_living(row.spec)
                    up[uuid] = _active(outcome, now)
                    if (kept := finished_spec(spec)) != spec:
                        specs[uuid] = kept
                    # its ports changed while it was built, perhaps after the host had read them; or they were there before it,
                    # and may have floating IPs, which hosts do not read
                    if row.network_info or any(not vif.created for vif in outcome.network_info):
                        await tx.outbox(ConductorAPI).network_changed(ctx, [uuid])
                    event = f"{launch_of(row).event}.end"
                    self.deps.events.send(tx, ctx, event, row, up[uuid], host=outcome.host)
                    await self.images.is_back(tx, ctx, spec)
                answers.append(answer is not False)
            await store.set_each(tx.connection, up)
            await store.save_specs(tx.connection, specs)
            if up:
                await store.finish_actions(tx.connection, up, ACTIONS, now)
        return answers

    @retried
    async def _attempt_failed(self, ended: tuple[RequestContext, BuildOutcome]) -> bool:
        ctx, outcome = ended
        async with self.deps.database.transaction() as tx:
            row = await store.get(tx.connection, outcome.server_uuid, lock=True)
            await steps.add(tx.connection, _steps(ctx, row, outcome))
            answer = _answer(row, outcome)
            if row is None or answer is not None:
                return bool(answer)
            released = await self._failed(tx, ctx, row, request_specs.of_living(row.spec), outcome)
        if released:
            await self.deps.settle_claims([outcome.server_uuid])
        return True

    async def _failed(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, spec: RequestSpec, outcome: BuildOutcome
    ) -> bool:
        """Back to scheduling with what was learnt, or ERROR. True when the claim is no longer wanted: while another host is
        looked for it stays, and moves with the next claim."""
        spec.failed_hosts[outcome.host] = reasons.of_attempt(outcome.fault)
        spec.failed_details[outcome.host] = reasons.details_of_attempt(outcome.fault)
        failure = Failure(spec.failed_hosts[outcome.host])
        self.deps.events.send(tx, ctx, f"{launch_of(row).event}.error", row, host=outcome.host, failure=failure)
        logger.info("build attempt failed", server=row.uuid, host=outcome.host, reason=spec.failed_hosts[outcome.host])
        if outcome.reschedule and spec.attempts < self.deps.options.max_attempts and spec.force_host is None:
            await self._again(tx, ctx, row, spec, outcome)
            return False
        await self._error(tx, row, spec, outcome)
        return True

    async def _again(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, spec: RequestSpec, outcome: BuildOutcome
    ) -> None:
        launch = launch_of(row)
        values = {"task_state": launch.waits, "updated_at": self.deps.now()} | launch.nowhere
        if await store.swap(tx.connection, row.uuid, store.building_on(outcome.host), values):
            await store.save_specs(tx.connection, {row.uuid: spec})
            await tx.outbox(ConductorAPI).build_servers(ctx, [row.uuid], outcome.request_id)

    async def _error(self, tx: Transaction, row: SpecifiedRow, spec: RequestSpec, outcome: BuildOutcome) -> None:
        now, host, fault = self.deps.now(), outcome.host, outcome.fault
        launch = launch_of(row)
        values = launch.given_up | {"updated_at": now} | launch.nowhere
        if not await store.swap(tx.connection, row.uuid, store.building_on(host), values):
            return
        entry = {
            "server_uuid": row.uuid, "code": fault.code if fault is not None else 500,
            "message": reasons.summary("", spec.failed_hosts),
            "details": reasons.full("", spec.failed_hosts, spec.failed_details), "host": host, "created_at": now,
        }  # fmt: skip
        await store.add_faults(tx.connection, [entry])
        await store.save_specs(tx.connection, {row.uuid: finished_spec(spec)})
        await store.finish_actions(tx.connection, [row.uuid], [launch.action], now, message="Error")


def _steps(ctx: RequestContext, row: SpecifiedRow | None, outcome: BuildOutcome) -> list[StepRecord]:
    return own_steps(ctx, outcome, theirs=row is not None and row.host == outcome.host)


def _answer(row: SpecifiedRow | None, outcome: BuildOutcome) -> bool | None:
    """The answer to an agent whose outcome changes nothing (any more); None when it counts."""
    if row is None or row.deleted or row.host != outcome.host or row.spec is None:
        return False
    if row.vm_state not in (Vm.BUILDING, Vm.SHELVED_OFFLOADED):  # reported before: the reply was lost
        return outcome.ok and row.vm_state != Vm.ERROR
    under_way = UNSHELVE_TASKS if row.vm_state == Vm.SHELVED_OFFLOADED else (None, *BUILD_TASKS)
    if row.task_state not in under_way or outcome.attempt != request_specs.decode(row.spec).attempts:
        return False
    return None


def _active(outcome: BuildOutcome, now: dt.datetime) -> dict[str, Any]:
    return {
        "vm_state": Vm.ACTIVE, "task_state": None, "power_state": outcome.power_state, "launched_at": now,
        "updated_at": now, "progress": 100, "network_info": msgspec.to_builtins(outcome.network_info),
    }  # fmt: skip
