"""SQL of the image list: filters, visibility, and pages that begin after a marker."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.paging import beyond
from kilonova.image.resources.images.list_query import Condition, ListQuery
from kilonova.image.store.images import GONE, ImageRow
from kilonova.image.tables import image_members, image_properties, image_tags, images

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "neq": operator.ne, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


async def page(
    connection: Connection, query: ListQuery, marker: ImageRow | None, project_id: str | None, *, everything: bool
) -> Sequence[ImageRow]:
    """The images that fit, after `marker`; `everything` lifts the limits of visibility."""
    wanted = select(images).where(images.c.status.not_in(GONE))
    if not everything:
        wanted = wanted.where(_visible(project_id, query.member_status))
    wanted = wanted.where(*_view(query.visibility, project_id))
    wanted = wanted.where(*(_condition(item) for item in query.conditions))
    for name, value in query.properties:
        holds = select(image_properties.c.image_id).where(
            image_properties.c.name == name, image_properties.c.value == value
        )
        wanted = wanted.where(images.c.id.in_(holds))
    for tag in query.tags:
        wanted = wanted.where(images.c.id.in_(select(image_tags.c.image_id).where(image_tags.c.value == tag)))
    return rows.every(await connection.execute(_ordered(wanted, query, marker).limit(query.limit)), ImageRow)


def _visible(project_id: str | None, member_status: str) -> Any:
    open_to_all = images.c.visibility.in_(("public", "community"))
    if project_id is None:
        return open_to_all
    shared = select(image_members.c.image_id).where(image_members.c.member == project_id)
    if member_status != "all":
        shared = shared.where(image_members.c.status == member_status)
    return or_(
        open_to_all,
        images.c.owner == project_id,
        and_(images.c.visibility == "shared", images.c.id.in_(shared)),
    )


def _view(visibility: str | None, project_id: str | None) -> list[Any]:
    if visibility == "all":
        return []
    if visibility is not None:
        return [images.c.visibility == visibility]
    foreign = images.c.visibility != "community"
    return [foreign if project_id is None else or_(foreign, images.c.owner == project_id)]


def _condition(item: Condition) -> Any:
    column = images.c[item.column]
    if item.operator == "in":
        return column.in_(item.values)
    return OPERATORS[item.operator](column, item.values[0])


def _key(name: str) -> Any:
    """A sortable expression without NULL."""
    column = images.c[name]
    return func.coalesce(column, -1 if name == "size" else "")


def _ordered(wanted: Select[Any], query: ListQuery, marker: ImageRow | None) -> Select[Any]:
    keys = [(_key(name), name, direction) for name, direction in query.sort]
    wanted = wanted.order_by(*(key.asc() if direction == "asc" else key.desc() for key, _, direction in keys))
    if marker is None:
        return wanted
    at = {name: getattr(marker, name) for _, name, _ in keys}
    empty = {name: -1 if name == "size" else "" for name in at}
    return wanted.where(
        beyond((key, empty[name] if at[name] is None else at[name], way == "desc") for key, name, way in keys)
    )
