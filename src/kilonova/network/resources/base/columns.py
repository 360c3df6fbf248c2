"""The standard attributes: columns of a new object, and fields of its view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UnsetType

from kilonova.core.context import RequestContext
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.store.objects import StandardRow


class OwnedBody(Protocol):
    """What is said of a new object's project."""

    project_id: str | None
    tenant_id: str | None


class StandardBody(OwnedBody, Protocol):
    name: str
    description: str | None


def owner(ctx: RequestContext, body: OwnedBody) -> str:
    """The project something is made for: the caller's, or for admins any they name."""
    if body.project_id is not None and body.tenant_id is not None and body.project_id != body.tenant_id:
        raise errors.HTTPBadRequest(reason="'project_id' and 'tenant_id' do not match")
    wanted = body.project_id or body.tenant_id or ctx.project_id
    if not wanted:
        raise errors.HTTPBadRequest(reason="project_id must be specified by a caller without a project")
    if wanted != ctx.project_id and not ctx.is_admin:
        raise errors.HTTPBadRequest(
            reason="Specifying 'project_id' other than the authenticated project in request requires admin privileges"
        )
    return wanted


def standard(deps: Deps, ctx: RequestContext, body: StandardBody) -> dict[str, Any]:
    """The columns that every new object has."""
    now = deps.now()
    return {
        "id": deps.clock.uuid(),
        "project_id": owner(ctx, body),
        "name": body.name,
        "description": body.description or "",
        "created_at": now,
        "updated_at": now,
        "revision_number": 1,
    }


def shown(row: StandardRow, tags: Sequence[str]) -> dict[str, Any]:
    """The same, as a view's fields."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "name": row.name,
        "description": row.description,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "revision_number": row.revision_number,
        "tags": list(tags),
    }


def changes_of(body: msgspec.Struct, names: Iterable[str] | None = None) -> dict[str, Any]:
    """New values of the columns that an update's body names, of these or all; a description is never null."""
    values = {name: getattr(body, name) for name in names or body.__struct_fields__}
    given = {name: value for name, value in values.items() if not isinstance(value, UnsetType)}
    if "description" in given:
        given["description"] = given["description"] or ""
    return given
