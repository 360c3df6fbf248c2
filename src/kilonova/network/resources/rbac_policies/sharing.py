"""What can be shared, and what sharing it means to the object itself. An object's row names the targets of its policies, so that
reading it shows which projects may see it; a writer of a policy has locked the object."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from kilonova.core.db import Connection, Transaction
from kilonova.core.errors import KilonovaError
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.resources.address_groups.errors import AddressGroupNotFound
from kilonova.network.resources.address_scopes.errors import AddressScopeNotFound
from kilonova.network.resources.qos_policies.errors import QosPolicyNotFound
from kilonova.network.resources.subnetpools.errors import SubnetPoolNotFound
from kilonova.network.store import address_scopes as scope_store
from kilonova.network.store import networks as network_store
from kilonova.network.store import qos_policies as qos_store
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import routers as router_store
from kilonova.network.store import security_groups as group_store
from kilonova.network.store import subnetpools as pool_store
from kilonova.network.store.address_groups import ADDRESS_GROUPS
from kilonova.network.store.address_scopes import ADDRESS_SCOPES
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.objects import Objects
from kilonova.network.store.qos_policies import QOS_POLICIES
from kilonova.network.store.rbac_policies import EVERYONE, EXTERNAL, POLICIES, SHARED, seen_by
from kilonova.network.store.security_groups import GROUPS
from kilonova.network.store.subnetpools import SUBNETPOOLS, SubnetPoolRow
from kilonova.network.store.tags import Condition

Users = Callable[[Connection, str], Awaitable[set[str]]]
"""The projects that use an object."""


V = TypeVar("V", bound=msgspec.Struct)


@dataclass(frozen=True)
class Kind:
    """`columns`: action → the object's column with its targets; `used_by`: action → the projects that depend on it;
    `refusal`: why the object cannot be shared with a target. A `strict` kind stays shared with every project while anything
    uses it, also of its owner's, or of a project that a changed policy names instead: upstream's answer."""

    objects: Objects[Any]
    missing: type[KilonovaError]
    columns: Mapping[str, str]
    used_by: Mapping[str, Users]
    refusal: Callable[[Connection, Any, str], Awaitable[str | None]] | None = None
    strict: bool = False

    async def users(self, connection: Connection, row: Any, action: str, targets: Sequence[str]) -> set[str]:
        """Projects that depend on it and would be left without the right to: the owner and the remaining targets have it."""
        if EVERYONE in targets:
            return set()
        allowed = {*targets} if self.strict else {row.project_id, *targets}
        return await self.used_by[action](connection, row.id) - allowed


async def _without_scope(connection: Connection, pool: SubnetPoolRow, target: str) -> str | None:
    scope = await ADDRESS_SCOPES.get(connection, pool.address_scope_id) if pool.address_scope_id is not None else None
    if scope is None or {EVERYONE, target} & {scope.project_id, *scope.shared_with}:
        return None
    return "target project doesn't have access to associated address scope."


NETWORK = Kind(
    NETWORKS,
    errors.NetworkNotFound,
    {SHARED: "shared_with", EXTERNAL: "external_to"},
    {SHARED: network_store.port_owners, EXTERNAL: router_store.gateway_owners},
)
QOS_POLICY = Kind(QOS_POLICIES, QosPolicyNotFound, {SHARED: "shared_with"}, {SHARED: qos_store.users_of}, strict=True)
KINDS: dict[str, Kind] = {
    "network": NETWORK,
    "qos_policy": QOS_POLICY,
    "security_group": Kind(
        GROUPS, errors.SecurityGroupNotFound, {SHARED: "shared_with"}, {SHARED: group_store.users_of}
    ),
    "subnetpool": Kind(
        SUBNETPOOLS, SubnetPoolNotFound, {SHARED: "shared_with"}, {SHARED: pool_store.users_of}, _without_scope
    ),
    "address_group": Kind(
        ADDRESS_GROUPS, AddressGroupNotFound, {SHARED: "shared_with"}, {SHARED: group_store.naming_projects}
    ),
    "address_scope": Kind(
        ADDRESS_SCOPES, AddressScopeNotFound, {SHARED: "shared_with"}, {SHARED: scope_store.users_of}
    ),
}
"""By object type."""


async def add(
    deps: Deps, tx: Transaction, object_type: str, object_id: str, project_id: str, action: str, target: str = EVERYONE
) -> str:
    """A new policy's id."""
    row = {
        "id": deps.clock.uuid(), "project_id": project_id, "object_type": object_type, "object_id": object_id,
        "action": action, "target_project": target,
    }  # fmt: skip
    await POLICIES.add(tx.connection, [row])
    return str(row["id"])


async def publish(deps: Deps, tx: Transaction, object_type: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Policies of new objects that every project may see."""
    for row in rows:
        for action, column in KINDS[object_type].columns.items():
            if row[column]:
                await add(deps, tx, object_type, row["id"], row["project_id"], action)


def shared_view(kind: type[V], partly: type[V], values: Mapping[str, Any], shared_with: Sequence[str]) -> V:
    """What is shown of an object; `partly` is the shape of one that is shared with single projects, not with every one."""
    return partly(**values, shared_with=shared_with) if shared_with and not values["shared"] else kind(**values)


async def follow(deps: Deps, tx: Transaction, object_type: str, row: Any, changes: Mapping[str, Any]) -> None:
    """The policies for every project come and go with the object's own flags; those for single projects are not the object's."""
    for action, column in KINDS[object_type].columns.items():
        had = set(getattr(row, column))
        now = set(changes.get(column, had))
        for _ in now - had:
            await add(deps, tx, object_type, row.id, row.project_id, action)
        await rbac_store.remove(tx.connection, row.id, action, had - now)


def conditions(objects: Objects[Any], object_type: str, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
    """What filters ask for."""
    rest = {name: values for name, values in filters.items() if name not in ("shared", "shared_to")}
    return [*objects.conditions(rest), *shared(objects.column("id"), object_type, filters)]


def shared(ids: Any, object_type: str, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
    """What the filter `shared` asks of the objects with these ids; it means with the project `shared_to`."""
    wanted = set(filters.get("shared", ()))
    if len(wanted) != 1:
        return []
    (project_id,) = filters.get("shared_to", [None])
    found = ids.in_(seen_by(object_type, project_id, SHARED))
    return [found if True in wanted else ~found]
