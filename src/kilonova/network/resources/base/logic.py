"""What the rules of all resources share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from kilonova.core.clock import Clock, iso
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Row
from kilonova.core.errors import KilonovaError
from kilonova.network import errors
from kilonova.network.hosts.announcer import Announcer
from kilonova.network.options import NetworkOptions

Facts = dict[str, Any]
"""What policy rules may look at: project_id, tenant_id, shared, router:external, network:project_id, network_device. `object` is
not for rules: the row, or the body of what is to be made."""
Guard = Callable[[Facts, KilonovaError], None]
"""Refuses callers that may not act on an object; the error given is raised for those that may not even see it."""


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What all of the service's logic is built from."""

    database: Database
    clock: Clock
    options: NetworkOptions
    announcer: Announcer

    def now(self) -> str:
        return iso(self.clock.now())

    def alive_since(self) -> str:
        """Agents whose last heartbeat is older are down."""
        return iso(self.clock.now() - timedelta(seconds=self.options.agent_down_time))


class _OwnedBody(Protocol):
    name: str
    description: str | None
    project_id: str | None
    tenant_id: str | None


def owner(ctx: RequestContext, project_id: str | None, tenant_id: str | None) -> str:
    """The project something is made for: the caller's, or for admins any they name."""
    if project_id is not None and tenant_id is not None and project_id != tenant_id:
        raise errors.HTTPBadRequest(reason="'project_id' and 'tenant_id' do not match")
    wanted = project_id or tenant_id or ctx.project_id
    if not wanted:
        raise errors.HTTPBadRequest(reason="project_id must be specified by a caller without a project")
    if wanted != ctx.project_id and not ctx.is_admin:
        raise errors.HTTPBadRequest(
            reason="Specifying 'project_id' other than the authenticated project in request requires admin privileges"
        )
    return wanted


def standard(deps: Deps, ctx: RequestContext, body: _OwnedBody) -> dict[str, Any]:
    """The columns that every new resource has."""
    now = deps.now()
    return {
        "id": deps.clock.uuid(),
        "project_id": owner(ctx, body.project_id, body.tenant_id),
        "name": body.name,
        "description": body.description or "",
        "created_at": now,
        "updated_at": now,
        "revision_number": 1,
    }


def shown(row: Row, tags: Sequence[str]) -> dict[str, Any]:
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


def facts(row: Row, network: Row | None = None) -> Facts:
    """`network` is the network of a subnet or port."""
    target: Facts = {"project_id": row.project_id, "tenant_id": row.project_id, "object": row}
    if network is not None:
        target |= network_facts(network) | {"network:project_id": network.project_id}
    return target


def network_facts(network: Row) -> Facts:
    return {"shared": network.shared, "router:external": network.external}
