"""How roles look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kilonova.core.web.call import Call
from kilonova.identity.resources.roles import schemas as shapes
from kilonova.identity.store.roles import RoleRow
from kilonova.identity.web.views import list_links, self_link, with_extra


def role(call: Call, row: RoleRow) -> Any:
    view = shapes.Role(
        id=row.id,
        name=row.name,
        description=row.description,
        domain_id=row.domain_id or None,
        options=row.options or {},
        links=self_link(call, "/v3/roles", row.id),
    )
    return with_extra(view, row.extra)


def roles(call: Call, path: str, rows: Iterable[RoleRow]) -> shapes.Roles:
    return shapes.Roles(roles=[role(call, row) for row in rows], links=list_links(call, path))


def inference(call: Call, prior: RoleRow, rows: Iterable[RoleRow]) -> shapes.Inference:
    return shapes.Inference(prior_role=role(call, prior), implies=[role(call, row) for row in rows])
