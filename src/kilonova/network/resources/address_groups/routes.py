"""Address groups: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.network.resources.address_groups.handlers import AddressGroupHandlers
from kilonova.network.resources.address_groups.logic import AddressGroupLogic
from kilonova.network.resources.address_groups.policies import RULES
from kilonova.network.resources.address_groups.schemas import (
    AddressesIn,
    AddressGroup,
    AddressGroupCreate,
    AddressGroupUpdate,
)
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension


def _more(handlers: AddressGroupHandlers) -> list[Route]:
    one, shown = f"{V2}/address-groups{ID}", wrapped("address_group", AddressGroup)
    return [
        Route(
            "PUT", f"{one}/add_addresses", handlers.add_addresses, "update_address_group", body=AddressesIn, reply=shown,
            summary="Add addresses to an address group.",
        ),
        Route(
            "PUT", f"{one}/remove_addresses", handlers.remove_addresses, "update_address_group", body=AddressesIn,
            reply=shown, summary="Remove addresses from an address group.",
        ),
    ]  # fmt: skip


ADDRESS_GROUPS_RESOURCE = CrudResource(
    name="address_group",
    collection="address_groups",
    path="address-groups",
    view=AddressGroup,
    create=AddressGroupCreate,
    update=AddressGroupUpdate,
    rules=RULES,
    logic=AddressGroupLogic,
    handlers=AddressGroupHandlers,
    more=_more,
    extensions=(
        Extension(
            "address-group", "Address group", "2020-07-15T10:00:00-00:00", "Addresses that rules refer to by one name"
        ),
        Extension(
            "security-groups-remote-address-group", "Remote address group id field for security group rules",
            "2020-08-25T10:00:00-00:00", "Security group rules refer to address groups",
        ),
    ),
)  # fmt: skip
