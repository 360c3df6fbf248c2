"""How domains look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kilonova.core.web.call import Call
from kilonova.identity.resources.domains import schemas as shapes
from kilonova.identity.store.projects import ProjectRow
from kilonova.identity.web.views import list_links, self_link, with_extra


def domain(call: Call, row: ProjectRow) -> Any:
    view = shapes.Domain(
        id=row.id,
        name=row.name,
        enabled=row.enabled,
        tags=row.tags,
        description=row.description or "",
        options=row.options or {},
        links=self_link(call, "/v3/domains", row.id),
    )
    return with_extra(view, row.extra)


def domains(call: Call, path: str, rows: Iterable[ProjectRow]) -> shapes.Domains:
    return shapes.Domains(domains=[domain(call, row) for row in rows], links=list_links(call, path))
