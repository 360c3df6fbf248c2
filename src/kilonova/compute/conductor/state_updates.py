"""State updates that agents report of servers that exist: states, actions, power, steps. All are compare-and-swap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kilonova.compute.actions.registry import ACTIONS
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps, finished_spec, logger
from kilonova.compute.conductor.images import Images, makes_image
from kilonova.compute.conductor.own_actions import OwnActions
from kilonova.compute.conductor.shelving import Shelving
from kilonova.compute.models import Fault, ServerChange, StepRecord
from kilonova.compute.states import FOLLOWS, SETTLED
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs
from kilonova.compute.store import steps as step_store
from kilonova.compute.store.conductor_servers import Condition
from kilonova.core.batching import Batched
from kilonova.core.db import Connection, retried


class StateUpdates:
    def __init__(self, deps: Deps, images: Images, own: OwnActions) -> None:
        self.deps, self.images, self.shelving = deps, images, Shelving(deps, images, own)
        self._batched = Batched(self._update_all)

    async def update(self, uuid: str, change: ServerChange) -> bool:
        if change.expect_move is not None or change.expect_open is not None:
            return await self._update(uuid, change)
        return await self._batched((uuid, change))

    @retried
    async def _update_all(self, asked: Sequence[tuple[str, ServerChange]]) -> list[bool]:
        """The same for many: a look at all, and one statement for all that set the same columns."""
        if len(asked) == 1:
            return [await self._update(*asked[0])]
        answers, changed = [], defaultdict[str, dict[str, Any]](dict)
        async with self.deps.database.transaction() as tx:
            rows = await store.lock_states(tx.connection, {uuid for uuid, _ in asked})
            states = {uuid: dict(row._mapping) for uuid, row in rows.items()}
            for uuid, change in asked:
                fits = uuid in states and _fits(states[uuid], change)
                if fits and (values := _values(change)):
                    changed[uuid] |= values | {"updated_at": self.deps.now()}
                    states[uuid] |= values
                answers.append(fits)
            await store.set_each(tx.connection, changed)
        return answers

    @retried
    async def _update(self, uuid: str, change: ServerChange) -> bool:
        values = _values(change)
        if not values:  # only the question whether the expectation still holds
            async with self.deps.database.reading() as connection:
                return await store.holds(connection, uuid, _expected(change))
        async with self.deps.database.transaction() as tx:
            return await store.swap(tx.connection, uuid, _expected(change), values | {"updated_at": self.deps.now()})

    @retried
    async def action_ended(
        self, uuid: str, request_id: str, action: str, change: ServerChange, fault: Fault | None,
        steps: list[StepRecord], *, by: str | None = None,
    ) -> bool:  # fmt: skip
        """The end of an action, once: a late repetition must not undo what was begun since. `by` is the host that reports
        so, where the bus has authenticated it: reports about another host's servers are refused."""
        done = ACTIONS.get(action)
        now, names = self.deps.now(), {action, done.shown if done is not None else action}
        async with self.deps.database.transaction() as tx:
            if by is not None and not await store.holds(tx.connection, uuid, [store.on_host(by)]):
                logger.warning("action report refused: the server is on another host", sender=by, server=uuid)
                return False
            await step_store.add(tx.connection, [step for step in steps if step.server_uuid == uuid])
            record = await store.action(tx.connection, uuid, request_id, names)
            if record is not None and record.finished_at is not None:
                return True
            left = done is not None and done.leaves and fault is None
            values, guard = _values(change) | {"updated_at": now}, _expected(change)
            if left:
                values |= {"host": None, "node": None}
            if done is not None and done.task is None:  # what the server shows is of another action
                values.pop("task_state", None)
            else:
                values["task_state"] = None
            if done is not None and done.task is not None:  # of an action unknown here only its record is checked
                # a state that an operator has set stays, unless the server's disks have gone from the host
                asked = record is not None and not done.leaves
                guard.append(store.task_in(done.tasks if asked else [None, *done.tasks]))
            applied = await store.swap(tx.connection, uuid, guard, values)
            if done is not None and done.has_password:
                await self._forget_password(tx.connection, uuid)
            message = "Error" if fault is not None else None
            await store.finish_actions(tx.connection, [uuid], names, now, request_id=request_id, message=message)
            made = await self.images.action_ended(tx, uuid, request_id, fault) if makes_image(done) else None
            if applied and fault is None:
                await self.shelving.action_ended(tx, uuid, request_id, action)
            if applied and fault is not None:
                await self._fault(tx.connection, uuid, action, change.expect_host, fault)
            if applied and self.deps.events.wanted:
                row = await store.get(tx.connection, uuid)
                reason = reasons.of_attempt(fault) if fault is not None else None
                spec = request_specs.decode(row.spec) if row is not None and row.spec is not None else None
                if spec is not None and made is not None:
                    spec = msgspec.structs.replace(spec, snapshot=made)
                self.deps.events.action_ended(tx, row, action, request_id, reason, spec)
        if left:
            await self.deps.settle_claims([uuid])
        return applied

    @staticmethod
    async def _forget_password(connection: Connection, uuid: str) -> None:
        """That of an action that has ended."""
        spec = await request_specs.get(connection, uuid)
        if spec is None:
            return
        kept = finished_spec(spec)
        if kept.rescue is not None:
            kept.rescue = msgspec.structs.replace(kept.rescue, admin_pass=None)
        if kept != spec:
            await store.save_specs(connection, {uuid: kept})

    async def _fault(self, connection: Connection, uuid: str, action: str, host: str | None, fault: Fault) -> None:
        message = reasons.short(f"{action} failed: {reasons.of_attempt(fault)}")
        row = {
            "server_uuid": uuid, "code": fault.code, "message": message, "details": fault.details, "host": host,
            "created_at": self.deps.now(),
        }  # fmt: skip
        await store.add_faults(connection, [row])

    @retried
    async def power_state_seen(self, host: str, uuid: str, power_state: int) -> None:
        """The row follows the guest while nothing runs on it."""
        values: dict[str, Any] = {"power_state": power_state, "updated_at": self.deps.now()}
        where = [store.on_host(host), store.task_in([None])]
        async with self.deps.database.transaction() as tx:
            if power_state in FOLLOWS:
                before, after = FOLLOWS[power_state]
                if await store.swap(tx.connection, uuid, [*where, store.vm_in(before)], values | {"vm_state": after}):
                    return
            await store.swap(tx.connection, uuid, [*where, store.vm_in(SETTLED)], values)


def _expected(change: ServerChange) -> list[Condition]:
    where: list[Condition] = []
    if change.expect_move is not None:
        where.append(store.coming_to(change.expect_host or "", change.expect_move))
    elif change.expect_host is not None:
        where.append(store.on_host(change.expect_host))
    if change.expect_open is not None:
        where.append(store.has_open(change.expect_open))
    if change.expect_vm_states is not None:
        where.append(store.vm_in(change.expect_vm_states))
    if change.expect_task_states is not None:
        where.append(store.task_in(change.expect_task_states))
    return where


def _fits(state: Mapping[str, Any], change: ServerChange) -> bool:
    """As `_expected`, of a row that is at hand."""
    return (
        (change.expect_host is None or state["host"] == change.expect_host)
        and (change.expect_vm_states is None or state["vm_state"] in change.expect_vm_states)
        and (change.expect_task_states is None or state["task_state"] in change.expect_task_states)
    )


def _values(change: ServerChange) -> dict[str, Any]:
    names = ("vm_state", "task_state", "power_state", "network_info")
    held = {name: getattr(change, name) for name in names}
    return {n: msgspec.to_builtins(v) for n, v in held.items() if not isinstance(v, msgspec.UnsetType)}
