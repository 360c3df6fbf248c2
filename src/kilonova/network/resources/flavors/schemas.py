"""Wire shapes of flavors."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import LongText, Name, Uuid

ServiceType = Literal["CORE", "FLAVORS", "L3_ROUTER_NAT", "QOS", "METERING", "TAG", "SEGMENTS", "TRUNK"]


class FlavorCreate(Body, kw_only=True):
    service_type: ServiceType
    name: Name = ""
    description: LongText | None = ""
    enabled: bool = True


class FlavorUpdate(Body):
    name: Name | UnsetType = UNSET
    description: LongText | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class Flavor(View):
    """`service_profiles` has ids."""

    id: str
    name: str
    description: str
    service_type: str
    enabled: bool
    service_profiles: list[str]


class ProfileIn(Body):
    id: Uuid
