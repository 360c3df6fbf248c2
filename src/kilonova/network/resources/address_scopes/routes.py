"""Address scopes: what the API knows of them."""

from __future__ import annotations

from kilonova.network.resources.address_scopes.logic import AddressScopeLogic
from kilonova.network.resources.address_scopes.policies import RULES
from kilonova.network.resources.address_scopes.schemas import AddressScope, AddressScopeCreate, AddressScopeUpdate
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.base.shared_handlers import SharedHandlers

ADDRESS_SCOPES_RESOURCE = CrudResource(
    name="address_scope",
    collection="address_scopes",
    path="address-scopes",
    view=AddressScope,
    create=AddressScopeCreate,
    update=AddressScopeUpdate,
    unsorted=frozenset({"shared"}),
    rules=RULES,
    logic=AddressScopeLogic,
    handlers=SharedHandlers,
    extensions=(
        Extension(
            "address-scope", "Address scope", "2015-07-26T10:00:00-00:00",
            "Subnet pools whose prefixes do not overlap, and networks that have their addresses from them",
        ),
    ),
)  # fmt: skip
