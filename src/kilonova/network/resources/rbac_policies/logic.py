"""Rules of RBAC policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors as network_errors
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import owner
from kilonova.network.resources.base.facts import Facts, Guard, Seeing, owned_by
from kilonova.network.resources.base.logic import DeletingLogic
from kilonova.network.resources.base.visible import visible_network, visible_shared
from kilonova.network.resources.rbac_policies import errors, sharing
from kilonova.network.resources.rbac_policies.schemas import RbacPolicy, RbacPolicyCreate, RbacPolicyUpdate
from kilonova.network.resources.rbac_policies.sharing import KINDS, Kind
from kilonova.network.store.rbac_policies import EVERYONE, EXTERNAL, POLICIES, RbacRow

ALIASES = {"target_tenant": "target_project"}


def _target(body: RbacPolicyCreate | RbacPolicyUpdate) -> str:
    if body.target_project and body.target_tenant and body.target_project != body.target_tenant:
        raise network_errors.HTTPBadRequest(reason="'target_project' and 'target_tenant' do not match")
    target = body.target_project or body.target_tenant
    if target is None:
        raise network_errors.HTTPBadRequest(
            reason="Failed to parse request. Required attribute 'target_project' not specified"
        )
    return target


class RbacPolicyLogic(DeletingLogic[RbacRow, RbacPolicy]):
    objects = POLICIES
    missing = errors.RbacPolicyNotFound

    async def views(self, connection: Connection, rows: Sequence[RbacRow]) -> Sequence[RbacPolicy]:
        same = ("id", "project_id", "object_type", "object_id", "action")
        return [
            RbacPolicy(
                **{name: getattr(row, name) for name in same},
                tenant_id=row.project_id,
                target_tenant=row.target_project,
            )
            for row in rows
        ]

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Any]:
        return super().conditions({ALIASES.get(name, name): values for name, values in filters.items()})

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[RbacPolicyCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[RbacPolicy]:
        """All or none; `guards` holds one for each body."""
        owners = [owner(ctx, body) for body in bodies]
        for body, project_id, guard in zip(bodies, owners, guards, strict=True):
            guard(owned_by(project_id) | {"wildcard": _target(body) == EVERYONE}, None)
        async with self.deps.database.transaction() as tx:
            await make_room(self.deps, tx, owners, {POLICIES: 1})
            ids = [
                await self._create(tx, ctx, body, project_id, seeing)
                async for body, project_id in yielding(zip(bodies, owners, strict=True))
            ]
            made = await POLICIES.by_ids(tx.connection, ids)
            return await self.views(tx.connection, [made[one] for one in ids])

    async def _create(
        self, tx: Transaction, ctx: RequestContext, body: RbacPolicyCreate, project_id: str, seeing: Seeing
    ) -> str:
        kind, target = KINDS[body.object_type], _target(body)
        held = await self._object(tx, kind, body, seeing)
        if not ctx.is_admin and held.project_id != ctx.project_id:
            raise network_errors.InvalidInput(reason="Only admins can manipulate policies on objects they do not own")
        targets = getattr(held, kind.columns[body.action])
        if target in targets:
            raise errors.DuplicateRbacPolicy
        await self._check_target(tx, kind, held, target)
        made = await sharing.add(self.deps, tx, body.object_type, held.id, project_id, body.action, target)
        await self._set(tx, kind, held, body.action, [*targets, target])
        return made

    async def _object(self, tx: Transaction, kind: Kind, body: RbacPolicyCreate, seeing: Seeing) -> Any:
        """Locked, so that two policies of one object are written one after the other."""
        if body.action not in kind.columns:
            raise network_errors.InvalidInput(
                reason=f"Invalid action '{body.action}' for object type '{body.object_type}'. Valid actions: "
                f"{', '.join(kind.columns)}"
            )
        if kind is sharing.NETWORK:
            return await visible_network(tx.connection, body.object_id, seeing, lock=True)
        sees, missing = getattr(seeing, body.object_type), kind.missing(id=body.object_id)
        return await visible_shared(tx.connection, kind.objects, body.object_id, sees, missing, lock=True)

    async def _check_target(self, tx: Transaction, kind: Kind, held: Any, target: str) -> None:
        reason = await kind.refusal(tx.connection, held, target) if kind.refusal is not None else None
        if reason is not None:
            raise network_errors.InvalidInput(
                reason=f"Failed to create RBAC policy on object {held.id} because {reason}"
            )

    async def _set(self, tx: Transaction, kind: Kind, held: Any, action: str, targets: Sequence[str]) -> None:
        """The object's own record of the projects that it is shared with."""
        values: dict[str, Any] = {kind.columns[action]: list(targets)}
        if kind is sharing.NETWORK:
            values |= {"external": bool(targets)} if action == EXTERNAL else {"shared": EVERYONE in targets}
            if action == EXTERNAL and not targets:
                values |= {"is_default": False, "default_external": None}
        await kind.objects.change(tx.connection, held.id, values, self.deps.now())

    @retried
    async def update(self, ctx: RequestContext, object_id: str, body: RbacPolicyUpdate, guard: Guard) -> RbacPolicy:
        async with self.deps.database.transaction() as tx:
            target = _target(body)

            def with_target(known: Facts, unseen: Any) -> None:
                guard(known | {"wildcard": target == EVERYONE}, unseen)

            row = await self.guarded(tx.connection, object_id, with_target, lock=True)
            if target != row.target_project:
                await self._withdraw(tx, row, target)
                await POLICIES.set(tx.connection, object_id, {"target_project": target})
            now = await POLICIES.get(tx.connection, object_id)
            return (await self.views(tx.connection, [now or row]))[0]

    async def removing(self, tx: Transaction, ctx: RequestContext, row: RbacRow) -> None:
        await self._withdraw(tx, row)

    async def _withdraw(self, tx: Transaction, row: RbacRow, instead: str | None = None) -> None:
        """The object is shared with this target no more, but with another one. Raises RbacPolicyInUse."""
        kind = KINDS[row.object_type]
        held = await kind.objects.get(tx.connection, row.object_id, lock=True)
        if held is None:
            return
        targets = getattr(held, kind.columns[row.action])
        if instead in targets:
            raise errors.DuplicateRbacPolicy
        if instead is not None:
            await self._check_target(tx, kind, held, instead)
        others = [one for one in targets if one != row.target_project]
        left = others + ([instead] if instead is not None else [])
        counted = others if kind.strict and instead != EVERYONE else left
        users = await kind.users(tx.connection, held, row.action, counted)
        if row.target_project != EVERYONE:
            users &= {row.target_project}
        if users:
            raise errors.RbacPolicyInUse(object_id=held.id, details=f"project {min(users)} uses it")
        if row.action == EXTERNAL and row.target_project == EVERYONE and held.is_default:
            raise errors.RbacPolicyInUse(
                object_id=held.id, details="Default external networks must be shared to everyone."
            )
        if row.action == EXTERNAL and not left and await kind.used_by[EXTERNAL](tx.connection, held.id):
            raise errors.RbacPolicyInUse(
                object_id=held.id, details=f"routers or floating IPs of {held.project_id} use it"
            )
        await self._set(tx, kind, held, row.action, left)
