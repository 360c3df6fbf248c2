"""How groups look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kilonova.core.web.call import Call
from kilonova.identity.resources.groups import schemas as shapes
from kilonova.identity.store.groups import GroupRow
from kilonova.identity.web.views import list_links, self_link, with_extra


def group(call: Call, row: GroupRow) -> Any:
    view = shapes.Group(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        description=row.description or "",
        links=self_link(call, "/v3/groups", row.id),
    )
    return with_extra(view, row.extra)


def groups(call: Call, path: str, rows: Iterable[GroupRow]) -> shapes.Groups:
    return shapes.Groups(groups=[group(call, row) for row in rows], links=list_links(call, path))
