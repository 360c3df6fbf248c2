"""How projects look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.web.call import Call
from kilonova.identity.resources.projects import schemas as shapes
from kilonova.identity.store.projects import ProjectRow
from kilonova.identity.web.views import list_links, self_link, with_extra


def project(call: Call, row: ProjectRow) -> Any:
    return with_extra(_view(call, row), row.extra)


def body(call: Call, row: ProjectRow) -> shapes.ProjectBody:
    return shapes.ProjectBody(project=project(call, row))


def body_in_tree(
    call: Call, row: ProjectRow, *, parents: Iterable[ProjectRow] | None, subtree: Iterable[ProjectRow] | None
) -> shapes.ProjectInTreeBody:
    view = shapes.ProjectInTree(
        **msgspec.structs.asdict(_view(call, row)),
        parents=UNSET if parents is None else [body(call, each) for each in parents],
        subtree=UNSET if subtree is None else [body(call, each) for each in subtree],
    )
    return shapes.ProjectInTreeBody(project=with_extra(view, row.extra))


def _view(call: Call, row: ProjectRow) -> shapes.Project:
    return shapes.Project(
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
    )


def projects(call: Call, path: str, rows: Iterable[ProjectRow]) -> shapes.Projects:
    return shapes.Projects(projects=[project(call, row) for row in rows], links=list_links(call, path))
