"""SQL of address groups."""

from __future__ import annotations

from kilonova.network.store.objects import Objects, SharedRow, StandardRow
from kilonova.network.tables import address_groups


class AddressGroupRow(StandardRow, SharedRow):
    """`addresses` are prefixes without host bits."""

    addresses: list[str]


ADDRESS_GROUPS = Objects(address_groups, AddressGroupRow)
