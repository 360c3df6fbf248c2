"""What a resource of the volume API is, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER
from kilonova.core.service import Core
from kilonova.core.web import resource
from kilonova.core.web.call import Call
from kilonova.core.web.project_urls import PROJECT, ROOT
from kilonova.core.web.wire import Version
from kilonova.image.client import ImageClient
from kilonova.volume.fields import Link
from kilonova.volume.notifications import VolumeEvents
from kilonova.volume.options import VolumeOptions

V = "/v3"
MEMBER, READER, OPERATOR = MEMBER_OR_OWNER, READER_OR_OWNER, ADMIN
SERVICE_OR_MEMBER = f"rule:service_api or {MEMBER_OR_OWNER}"


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What resources are made of."""

    core: Core
    database: Database
    options: VolumeOptions
    images: ImageClient
    events: VolumeEvents

    @property
    def clock(self) -> Clock:
        return self.core.clock


Resource = resource.Resource[Deps]


def root(call: Call) -> str:
    """What came before the collection in the request's path: the version, and the project where the URL names it."""
    return str(call.request.scope.get(ROOT, V))


def links(call: Call, collection: str, item: str) -> list[Link]:
    project = call.request.scope.get(PROJECT)
    place = f"{collection}/{item}" if project is None else f"{project}/{collection}/{item}"
    return [
        Link(rel="self", href=f"{call.base_url}{root(call)}/{collection}/{item}"),
        Link(rel="bookmark", href=f"{call.base_url}/{place}"),
    ]


def at_least(call: Call, version: str) -> bool:
    return call.version is not None and call.version >= Version.parse(version)


def owned(row: Any) -> dict[str, Any]:
    """What policies look at."""
    return {"project_id": row.project_id, "user_id": getattr(row, "user_id", None)}


def scope_of(ctx: RequestContext) -> str | None:
    """The project whose objects the caller finds by id; None for an operator, who finds all."""
    return None if ctx.is_admin else ctx.project_id
