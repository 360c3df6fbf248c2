"""How resources look on the wire: their columns, the client's own attributes, and links to themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from kilonova.core.db import Row
from kilonova.core.web.call import Call


def collection(call: Call, path: str) -> dict[str, str | None]:
    query = call.request.url.query
    return {"self": f"{call.base_url}{path}{'?' + query if query else ''}", "previous": None, "next": None}


def listing(call: Call, path: str, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: items, "links": collection(call, path)}


def entity(call: Call, path: str, row: Row, *columns: str, **more: Any) -> dict[str, Any]:
    """`columns` of a row with its extra attributes, which never hide the row's own."""
    own = {name: getattr(row, name) for name in columns} | more
    extra: dict[str, Any] = row.extra
    return extra | own | {"links": {"self": f"{call.base_url}{path}/{quote(row.id, safe='')}"}}


def project(call: Call, row: Row) -> dict[str, Any]:
    return entity(
        call, "/v3/projects", row, "id", "name", "enabled", "is_domain", "tags",
        description=row.description or "", domain_id=row.domain_id or None, parent_id=row.parent_id, options=row.options or {},
    )  # fmt: skip


def domain(call: Call, row: Row) -> dict[str, Any]:
    return entity(
        call,
        "/v3/domains",
        row,
        "id",
        "name",
        "enabled",
        "tags",
        description=row.description or "",
        options=row.options or {},
    )


def user(call: Call, row: Row) -> dict[str, Any]:
    more = {"default_project_id": row.default_project_id} if row.default_project_id else {}
    return entity(
        call,
        "/v3/users",
        row,
        "id",
        "name",
        "domain_id",
        "enabled",
        password_expires_at=None,
        options=row.options or {},
        **more,
    )


def group(call: Call, row: Row) -> dict[str, Any]:
    return entity(call, "/v3/groups", row, "id", "name", "domain_id", description=row.description or "")


def role(call: Call, row: Row) -> dict[str, Any]:
    return entity(
        call, "/v3/roles", row, "id", "name", "description", domain_id=row.domain_id or None, options=row.options or {}
    )


def service(call: Call, row: Row) -> dict[str, Any]:
    more = {name: getattr(row, name) for name in ("name", "description") if getattr(row, name) is not None}
    return entity(call, "/v3/services", row, "id", "type", "enabled", **more)


def endpoint(call: Call, row: Row) -> dict[str, Any]:
    return entity(
        call, "/v3/endpoints", row, "id", "interface", "service_id", "region_id", "url", "enabled", region=row.region_id
    )


def region(call: Call, row: Row) -> dict[str, Any]:
    return entity(call, "/v3/regions", row, "id", "description", "parent_region_id")
