"""Wire shapes of subnet pools."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import ONE_LINE, StandardCreate, StandardUpdate, StandardView, Uuid
from kilonova.network.resources.subnets.schemas import Address

MAX_PREFIXES = 1000
FullName = Annotated[
    str,
    Meta(
        max_length=255,
        pattern=r"\A[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\Z",
        description=f"{ONE_LINE}, not blank",
    ),
]
Prefixes = Annotated[list[Address], Meta(max_length=MAX_PREFIXES)]
Length = Annotated[int, Meta(ge=0, le=2147483647)]


class SubnetPoolCreate(StandardCreate, kw_only=True):
    """`default_quota` counts addresses, in IPv6 prefixes of length 64, that one project may have from the pool."""

    name: FullName
    prefixes: Prefixes
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_prefixlen: Length | UnsetType = UNSET
    default_quota: Length | None = None
    is_default: bool = False
    shared: bool = False
    address_scope_id: Uuid | None = None


class SubnetPoolUpdate(StandardUpdate, kw_only=True):
    """New `prefixes` must hold the old ones."""

    name: FullName | UnsetType = UNSET
    prefixes: Prefixes | UnsetType = UNSET
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_prefixlen: Length | UnsetType = UNSET
    default_quota: Length | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET
    address_scope_id: Uuid | UnsetType | None = UNSET


class SubnetPool(StandardView, kw_only=True):
    """Lengths of prefixes are text, as upstream has them."""

    ip_version: int
    prefixes: list[str]
    min_prefixlen: str
    max_prefixlen: str
    default_prefixlen: str
    default_quota: int | None
    is_default: bool
    shared: bool
    address_scope_id: str | None


class SharedSubnetPool(SubnetPool, kw_only=True):
    """One that is shared with these projects, not with every one."""

    shared_with: list[str]


class PrefixesIn(Body):
    prefixes: Annotated[list[Address], Meta(min_length=1, max_length=MAX_PREFIXES)]


class PrefixesOut(View):
    prefixes: list[str]


class OnboardIn(Body):
    network_id: Uuid


class Onboarded(View):
    """A subnet that the pool has now."""

    id: str
    cidr: str
