"""Wire shapes of address groups."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.core.web.wire import Body
from kilonova.network.resources.base.schemas import StandardCreate, StandardUpdate, StandardView
from kilonova.network.resources.subnets.schemas import Address

MAX_ADDRESSES = 1000
Addresses = Annotated[list[Address], Meta(max_length=MAX_ADDRESSES)]


class AddressGroupCreate(StandardCreate, kw_only=True):
    addresses: Addresses | None = None


class AddressGroupUpdate(StandardUpdate):
    pass


class AddressesIn(Body):
    """Addresses or prefixes."""

    addresses: Addresses


class AddressGroup(StandardView, kw_only=True):
    """`addresses` are prefixes: `10.0.0.5/32`."""

    addresses: list[str]
