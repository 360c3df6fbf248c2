"""How projects look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from kilonova.core.db import Row
from kilonova.core.web.call import Call
from kilonova.identity.resources.projects import schemas as shapes
from kilonova.identity.web.views import list_links, self_link, with_extra


def project(call: Call, row: Row, *, parents: Iterable[Row] | None = None, subtree: Iterable[Row] | None = None) -> Any:
    view = shapes.Project(
        id=row.id,
        name=row.name,
        enabled=row.enabled,
        is_domain=row.is_domain,
        tags=row.tags,
        description=row.description or "",
        domain_id=row.domain_id or None,
        parent_id=row.parent_id,
        options=row.options or {},
        links=self_link(call, "/v3/projects", row.id),
        parents=UNSET if parents is None else [body(call, each) for each in parents],
        subtree=UNSET if subtree is None else [body(call, each) for each in subtree],
    )
    return with_extra(view, row.extra)


def body(call: Call, row: Row, **above_and_below: Iterable[Row] | None) -> shapes.ProjectBody:
    return shapes.ProjectBody(project=project(call, row, **above_and_below))


def projects(call: Call, path: str, rows: Iterable[Row]) -> shapes.Projects:
    return shapes.Projects(projects=[project(call, row) for row in rows], links=list_links(call, path))
