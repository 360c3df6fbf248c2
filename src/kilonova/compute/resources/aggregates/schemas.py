"""Wire shapes of host aggregates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import PRINTABLE, HostName, MetadataKey, MetadataValue, Name, matching
from kilonova.core.web.wire import Body, View, versions

Zone = Annotated[
    str,
    matching(
        PRINTABLE.replace("[^", "[^:", 1),
        "printable characters without a colon, and without space at the ends",
        min_length=1,
        max_length=255,
    ),
]


class AggregateIn(Body, kw_only=True):
    name: Name
    availability_zone: Zone | None = None


class AggregateCreate(Body, kw_only=True):
    aggregate: AggregateIn


class AggregateChange(Body, kw_only=True):
    name: Name | UnsetType = UNSET
    availability_zone: Zone | UnsetType | None = UNSET


class AggregateUpdate(Body, kw_only=True):
    aggregate: AggregateChange


class HostRef(Body, kw_only=True):
    host: HostName


class MetadataChange(Body, kw_only=True):
    metadata: dict[MetadataKey, MetadataValue | None]


class AggregateAction(Body, kw_only=True):
    """One of the three."""

    add_host: HostRef | UnsetType = UNSET
    remove_host: HostRef | UnsetType = UNSET
    set_metadata: MetadataChange | UnsetType = UNSET


class Aggregate(View, kw_only=True):
    id: int
    name: str
    availability_zone: str | None
    created_at: str | None
    updated_at: str | None
    deleted: bool = False
    deleted_at: str | None = None
    uuid: Annotated[str, versions("2.41")]
    hosts: list[str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class AggregateBody(View, kw_only=True):
    aggregate: Aggregate


class Aggregates(View, kw_only=True):
    aggregates: list[Aggregate] = msgspec.field(default_factory=list)
