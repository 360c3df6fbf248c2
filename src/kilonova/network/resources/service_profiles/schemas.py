"""Wire shapes of service profiles."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import LINES, SEVERAL_LINES, LongText

MetaInfo = Annotated[str, Meta(max_length=4096, pattern=SEVERAL_LINES, description=LINES)]


class ServiceProfileCreate(Body):
    description: LongText | None = ""
    driver: LongText = ""
    metainfo: MetaInfo = ""
    enabled: bool = True


class ServiceProfileUpdate(Body):
    description: LongText | UnsetType | None = UNSET
    driver: LongText | UnsetType = UNSET
    metainfo: MetaInfo | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ServiceProfile(View):
    id: str
    description: str
    driver: str
    metainfo: str
    enabled: bool
