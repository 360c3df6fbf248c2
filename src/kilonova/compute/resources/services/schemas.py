"""Wire shapes of services."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Boolean, HostName
from kilonova.core.web.wire import Body, View, versions

Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class ServiceView(View, kw_only=True):
    number: Annotated[int, versions("2.1", "2.52", name="id")]
    uuid: Annotated[str, versions("2.53", name="id")]
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    forced_down: Annotated[bool, versions("2.11")]


class Services(View, kw_only=True):
    services: list[ServiceView]


class ServiceBody(View, kw_only=True):
    service: ServiceView


class OldServiceUpdate(Body, kw_only=True):
    """PUT /os-services/{enable, disable, disable-log-reason, force-down}, until 2.52."""

    host: HostName
    binary: Annotated[str, Meta(min_length=1, max_length=255)]
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Annotated[Boolean | UnsetType, versions("2.11")] = UNSET


class ServiceUpdate(Body, kw_only=True):
    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Boolean | UnsetType = UNSET


class OldService(View, kw_only=True):
    """The service, and what was changed of it."""

    host: str
    binary: str
    forced_down: bool | UnsetType = UNSET
    status: str | UnsetType = UNSET
    disabled_reason: str | UnsetType = UNSET


class OldServiceBody(View, kw_only=True):
    service: OldService
