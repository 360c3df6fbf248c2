"""Rules of subnet pools: prefixes that subnets have theirs from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors as network_errors
from kilonova.network.ipam.prefixes import Spans, covers, overlap, spans, without
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner, shown, standard
from kilonova.network.resources.base.facts import Guard, Seeing, owned_by
from kilonova.network.resources.base.logic import DeletingLogic
from kilonova.network.resources.base.visible import visible_network
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.rbac_policies.shared import SharedLogic
from kilonova.network.resources.subnetpools import errors, plan, scopes
from kilonova.network.resources.subnetpools.schemas import (
    Onboarded,
    SharedSubnetPool,
    SubnetPool,
    SubnetPoolCreate,
    SubnetPoolUpdate,
)
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import routers as router_store
from kilonova.network.store import subnetpools as store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.rbac_policies import EVERYONE
from kilonova.network.store.subnetpools import SUBNETPOOLS, SubnetPoolRow
from kilonova.network.store.subnets import SUBNETS

SHOWN = ("ip_version", "prefixes", "default_quota", "is_default", "address_scope_id")
PLAIN = ("name", "description", "default_quota", "is_default", "address_scope_id")


class SubnetPoolLogic(SharedLogic[SubnetPoolRow, SubnetPool], DeletingLogic[SubnetPoolRow, SubnetPool]):
    objects = SUBNETPOOLS
    missing = errors.SubnetPoolNotFound
    object_type = "subnetpool"

    async def views(self, connection: Connection, rows: Sequence[SubnetPoolRow]) -> Sequence[SubnetPool]:
        tags = await tag_store.tags_of(connection, [row.id for row in rows])
        return [_view(row, tags.get(row.id, [])) for row in rows]

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Any]:
        """Lengths are numbers here, and text where clients see them."""
        return super().conditions(
            {
                name: [_number(name, v) for v in values] if name in plan.LENGTHS else values
                for name, values in filters.items()
            }
        )

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[SubnetPoolCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[SubnetPool]:
        """All or none; `guards` holds one for each body."""
        async for body, guard in yielding(zip(bodies, guards, strict=True)):
            guard(owned_by(owner(ctx, body)), None)
        rows = [self._new(ctx, body) async for body in yielding(bodies)]
        async with self.deps.database.transaction() as tx:
            await make_room(self.deps, tx, [row["project_id"] for row in rows], {SUBNETPOOLS: 1})
            async for row in yielding(rows):
                await self._check_default(tx, row["default_for"])
                await scopes.enter(tx.connection, row, seeing)
                await SUBNETPOOLS.add(tx.connection, [row])
            await sharing.publish(self.deps, tx, self.object_type, rows)
            made = await SUBNETPOOLS.by_ids(tx.connection, [row["id"] for row in rows])
            return await self.views(tx.connection, [made[row["id"]] for row in rows])

    def _new(self, ctx: RequestContext, body: SubnetPoolCreate) -> dict[str, Any]:
        found = plan.read(body.prefixes)
        version = plan.version_of(found)
        return (
            standard(self.deps, ctx, body)
            | {name: getattr(body, name) for name in ("default_quota", "is_default", "address_scope_id")}
            | plan.lengths(version, {name: getattr(body, name) for name in plan.LENGTHS})
            | {
                "ip_version": version,
                "prefixes": plan.texts(spans(found), version),
                "default_for": version if body.is_default else None,
                "shared_with": [EVERYONE] if body.shared else [],
            }
        )

    async def _check_default(self, tx: Transaction, version: int | None) -> None:
        if version is not None and await store.default(tx.connection, version) is not None:
            raise network_errors.InvalidInput(
                reason="A default subnetpool for this IP family has already been set. Only one default may exist per IP "
                "family"
            )

    @retried
    async def update(
        self, ctx: RequestContext, pool_id: str, body: SubnetPoolUpdate, guard: Guard, seeing: Seeing
    ) -> SubnetPool:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, pool_id, guard, lock=True)
            changes = changes_of(body, PLAIN)
            if changes.get("is_default", row.is_default) != row.is_default:
                changes["default_for"] = row.ip_version if changes["is_default"] else None
                await self._check_default(tx, changes["default_for"])
            if any(getattr(body, name) is not UNSET for name in plan.LENGTHS):
                asked = {name: _given(getattr(body, name), getattr(row, name)) for name in plan.LENGTHS}
                changes |= plan.lengths(row.ip_version, asked)
            prefixes = None if isinstance(body.prefixes, UnsetType) else _read(row, body.prefixes)
            if prefixes is not None and not covers(prefixes, plan.held(row.prefixes)):
                raise errors.IllegalSubnetPoolPrefixUpdate(
                    reason="Existing prefixes must be a subset of the new prefixes"
                )
            now = await self._change(tx, ctx, row, changes, prefixes, seeing)
            return (await self.views(tx.connection, [now]))[0]

    async def _change(
        self, tx: Transaction, ctx: RequestContext, row: SubnetPoolRow, changes: dict[str, Any], prefixes: Spans | None,
        seeing: Seeing | None = None,
    ) -> SubnetPoolRow:  # fmt: skip
        """With other prefixes; `seeing` for a scope that is named."""
        await scopes.check_owner(tx.connection, ctx, row)
        if prefixes is not None:
            changes["prefixes"] = plan.texts(prefixes, row.ip_version)
        await scopes.change(tx.connection, row, changes, seeing)
        await SUBNETPOOLS.change(tx.connection, row.id, changes, self.deps.now())
        if changes.get("address_scope_id", row.address_scope_id) != row.address_scope_id:
            await self._tell_routers(tx, ctx, row.id)
        return await SUBNETPOOLS.get(tx.connection, row.id) or row

    @retried
    async def add_prefixes(self, ctx: RequestContext, pool_id: str, asked: Sequence[str], guard: Guard) -> list[str]:
        """The pool's prefixes with these."""
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, pool_id, guard, lock=True)
            wanted = _read(row, [*dict.fromkeys([*row.prefixes, *asked])])
            return (await self._change(tx, ctx, row, {}, wanted)).prefixes

    @retried
    async def remove_prefixes(self, ctx: RequestContext, pool_id: str, asked: Sequence[str], guard: Guard) -> list[str]:
        """The pool's prefixes without these, which no subnet may have."""
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, pool_id, guard, lock=True)
            gone = _read(row, asked)
            if overlap(plan.held(one.cidr for one in await store.taken_from(tx.connection, [row.id])), gone):
                raise errors.IllegalSubnetPoolPrefixUpdate(
                    reason="One or more the prefixes to be removed is in use by a subnet."
                )
            kept = plan.texts(without(plan.held(row.prefixes), gone), row.ip_version)
            if kept != row.prefixes:
                await SUBNETPOOLS.change(tx.connection, row.id, {"prefixes": kept}, self.deps.now())
            return kept

    @retried
    async def onboard(
        self, ctx: RequestContext, pool_id: str, network_id: str, guard: Guard, seeing: Seeing
    ) -> list[Onboarded]:
        """The network's subnets of the pool's IP version are the pool's, which gets their prefixes."""
        async with self.deps.database.transaction() as tx:
            network = await visible_network(tx.connection, network_id, seeing, lock=True)
            row = await self.guarded(tx.connection, pool_id, guard, lock=True)
            if network.project_id != ctx.project_id and not ctx.is_admin:
                raise errors.NotAuthorized
            every = await subnet_store.of_networks(tx.connection, [network.id], lock=True)
            found = [subnet for subnet in every if subnet.ip_version == row.ip_version]
            taken = plan.held(one.cidr for one in await store.taken_from(tx.connection, [row.id]))
            for subnet in found:
                if overlap(taken, plan.held([subnet.cidr])):
                    raise errors.IllegalSubnetPoolUpdate(
                        reason=f"Onboarding subnet {subnet.id}: {subnet.cidr} conflicts with allocated prefixes in subnet "
                        f"pool {row.id}"
                    )
            await self._change(tx, ctx, row, {}, plan.held([*row.prefixes, *(subnet.cidr for subnet in found)]))
            for subnet in found:
                await SUBNETS.change(tx.connection, subnet.id, {"subnetpool_id": row.id}, self.deps.now())
            await self._tell_routers(tx, ctx, row.id)
            return [Onboarded(id=subnet.id, cidr=subnet.cidr) for subnet in found]

    async def _tell_routers(self, tx: Transaction, ctx: RequestContext, pool_id: str) -> None:
        """What they translate depends on the scope of the pool's subnets."""
        await self.deps.announcer.changed(tx, ctx, await router_store.hosts_of_pool(tx.connection, pool_id))

    async def removing(self, tx: Transaction, ctx: RequestContext, row: SubnetPoolRow) -> None:
        if await store.users_of(tx.connection, row.id):
            raise errors.SubnetPoolDeleteError(reason="Subnet pool has existing allocations")
        await rbac_store.remove_all(tx.connection, row.id)


def _view(row: SubnetPoolRow, tags: Sequence[str]) -> SubnetPool:
    values = shown(row, tags) | {name: getattr(row, name) for name in SHOWN}
    values |= {name: str(getattr(row, name)) for name in plan.LENGTHS} | {"shared": EVERYONE in row.shared_with}
    return sharing.shared_view(SubnetPool, SharedSubnetPool, values, row.shared_with)


def _read(row: SubnetPoolRow, asked: Sequence[str]) -> Spans:
    found = plan.read(asked)
    if plan.version_of(found) != row.ip_version:
        raise errors.PrefixVersionMismatch
    return spans(found)


def _given(asked: int | UnsetType, held: int) -> int:
    return held if isinstance(asked, UnsetType) else asked


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise network_errors.HTTPBadRequest(reason=f"Invalid input for {name}. Reason: '{value}' is not an integer.")
    return int(value)
