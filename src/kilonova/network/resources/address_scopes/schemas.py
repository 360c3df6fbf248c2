"""Wire shapes of address scopes."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Name, ProjectId


class AddressScopeCreate(Body, kw_only=True):
    name: Name = ""
    ip_version: Literal[4, 6]
    shared: bool = False
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class AddressScopeUpdate(Body):
    """`shared` can be set, but not taken back."""

    name: Name | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class AddressScope(View, kw_only=True):
    id: str
    project_id: str
    tenant_id: str
    name: str
    ip_version: int
    shared: bool


class SharedAddressScope(AddressScope, kw_only=True):
    """One that is shared with these projects, not with every one."""

    shared_with: list[str]
