"""How users look on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from kilonova.core.web.call import Call
from kilonova.identity.resources.users import schemas as shapes
from kilonova.identity.store.users import UserRow
from kilonova.identity.web.views import list_links, self_link, with_extra


def user(call: Call, row: UserRow) -> Any:
    view = shapes.User(
        id=row.id,
        name=row.name,
        domain_id=row.domain_id,
        enabled=row.enabled,
        options=row.options or {},
        default_project_id=row.default_project_id or UNSET,
        links=self_link(call, "/v3/users", row.id),
    )
    return with_extra(view, row.extra)


def users(call: Call, path: str, rows: Iterable[UserRow]) -> shapes.Users:
    return shapes.Users(users=[user(call, row) for row in rows], links=list_links(call, path))
