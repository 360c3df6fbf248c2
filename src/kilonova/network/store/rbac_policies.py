"""SQL of RBAC policies: what is shared with which projects."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, delete, or_, select

from kilonova.core.db import Connection
from kilonova.network.store.objects import Objects, OwnedRow
from kilonova.network.store.tags import Condition
from kilonova.network.tables import rbac_policies

SHARED, EXTERNAL = "access_as_shared", "access_as_external"
EVERYONE = "*"


class RbacRow(OwnedRow):
    """`target_project` is a project, or EVERYONE."""

    object_type: str
    object_id: str
    action: str
    target_project: str


POLICIES = Objects(rbac_policies, RbacRow)


def seen_by(object_type: str, project_id: str | None, *actions: str) -> Select[tuple[str]]:
    """Ids of what policies (with these actions, or any) let the project see, as a part of a query."""
    query = select(rbac_policies.c.object_id).where(
        rbac_policies.c.target_project.in_([EVERYONE, project_id or ""]), rbac_policies.c.object_type == object_type
    )
    return query.where(rbac_policies.c.action.in_(actions)) if actions else query


def visible(objects: Objects[Any], object_type: str, project_id: str | None) -> Condition:
    """A project sees its own objects, and those that policies let it see."""
    return or_(objects.owned_by(project_id), objects.table.c.id.in_(seen_by(object_type, project_id)))


async def remove(connection: Connection, object_id: str, action: str, targets: Collection[str]) -> None:
    """Policies of an object with these targets."""
    if targets:
        mine = (rbac_policies.c.object_id == object_id, rbac_policies.c.action == action)
        await connection.execute(delete(rbac_policies).where(*mine, rbac_policies.c.target_project.in_(list(targets))))


async def remove_all(connection: Connection, object_id: str) -> None:
    """Of an object that is deleted."""
    await connection.execute(delete(rbac_policies).where(rbac_policies.c.object_id == object_id))
