"""Wire shapes that all resources share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View

ONE_LINE, LINES = "text without control characters", "text without control characters but tabs and line ends"
# no control characters: names end up in logs and terminals, and no database keeps NUL; texts may have lines
LINE = r"\A[^\x00-\x1f\x7f]*\Z"
Name = Annotated[str, Meta(max_length=255, pattern=LINE, description=ONE_LINE)]
SEVERAL_LINES = r"\A[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z"
Text = Annotated[str, Meta(max_length=255, pattern=SEVERAL_LINES, description=LINES)]
LongText = Annotated[str, Meta(max_length=1024, pattern=SEVERAL_LINES, description=LINES)]
Uuid = Annotated[
    str,
    Meta(
        pattern=r"\A[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z",
        description="a UUID",
    ),
]
ProjectId = Name
Tag = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"\A[^,\x00-\x1f\x7f]+\Z",
        description="text without commas and control characters",
    ),
]
Tags = Annotated[list[Tag], Meta(max_length=50)]
Names = Annotated[list[Name], Meta(max_length=64)]


class StandardCreate(Body):
    """What every body that creates something may say. A project other than the caller's is for admins."""

    name: Name = ""
    description: Text | None = ""
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class StandardUpdate(Body):
    """What every update may say."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class UnnamedView(View, kw_only=True):
    """What every resource shows. Times are ISO text."""

    id: str
    description: str
    project_id: str
    tenant_id: str
    created_at: str
    updated_at: str
    revision_number: int
    tags: list[str] = msgspec.field(default_factory=list)


class StandardView(UnnamedView, kw_only=True):
    """And nearly every one has a name."""

    name: str


class TagsBody(Body):
    tags: Tags


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """How a client wants a list. `filters` maps attributes to the values of which one must match; `sorts` holds
    (attribute, descending); `fields` is empty for all attributes."""

    filters: dict[str, list[Any]] = {}
    sorts: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    marker: str | None = None
    page_reverse: bool = False
    fields: frozenset[str] = frozenset()
